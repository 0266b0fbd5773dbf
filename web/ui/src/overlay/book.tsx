import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as api from "../api";
import { page } from "./view";

const pages = signal<api.BookPage[]>([]);

/** The playbook's titles: the words are at hand also where nobody is listened to. */
export function Book() {
  useEffect(() => {
    if (pages.peek().length === 0) void api.playbook().then((book) => (pages.value = book.pages), () => undefined);
  }, []);
  return (
    <ul class="book" data-testid="book" aria-label="Playbook">
      {pages.value.map((p) => (
        <li key={p.label}><button type="button" aria-pressed={page.value?.label === p.label} onClick={() => (page.value = page.peek()?.label === p.label ? null : p)}>{p.title}</button></li>
      ))}
    </ul>
  );
}

/** A page opened by hand, in the place for words. It stays until it is closed by hand. */
export function Page({ of }: { of: api.BookPage }) {
  return (
    <section class="place">
      <article class="card missing_question" data-testid="book-page">
        <p class="kicker"><b>Playbook</b>{of.title}</p>
        <p class={`say ${of.say[0]!.length > 105 ? "long" : "middling"}`}>{of.say[0]}</p>
        <div class="verdict"><button type="button" class="quiet" onClick={() => (page.value = null)}><kbd>Esc</kbd> close</button></div>
      </article>
    </section>
  );
}
