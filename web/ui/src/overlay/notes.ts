/** The agent's own notes, kept in this browser only. */
const key = (id: string) => `sottovoce.notes.${id}`;
export const kept = (id: string): string => localStorage.getItem(key(id)) ?? "";
export const keep = (id: string, text: string): void => (text ? localStorage.setItem(key(id), text) : localStorage.removeItem(key(id)));
