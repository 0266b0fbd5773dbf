import { signal } from "@preact/signals";

/** The page never navigates: a popped-out window lives as long as its opener. Paths change, documents do not. */
export const path = signal(location.pathname);

export function go(to: string): void {
  if (to === location.pathname) return;
  history.pushState(null, "", to);
  path.value = to;
  scrollTo(0, 0);
}

addEventListener("popstate", () => (path.value = location.pathname));

/** For `onClick` of an ordinary link: a plain click stays in the page. */
export function stay(event: MouseEvent): void {
  const anchor = event.currentTarget as HTMLAnchorElement;
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(anchor.pathname);
}
