import { effect, signal } from "@preact/signals";

/** "" follows the computer. */
export const theme = signal(localStorage.getItem("sottovoce.theme") ?? "");
const documents = new Set<Document>([document]);

export function toggle(): void {
  const dark = theme.peek() ? theme.peek() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.value = dark ? "light" : "dark";
  localStorage.setItem("sottovoce.theme", theme.value);
}

/** A window popped out wears what the page wears. */
export function dress(other: Document): () => void {
  documents.add(other);
  other.documentElement.dataset["theme"] = theme.peek();
  return () => void documents.delete(other);
}

effect(() => {
  for (const each of documents) each.documentElement.dataset["theme"] = theme.value;
});
