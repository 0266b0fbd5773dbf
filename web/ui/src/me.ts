/** What this browser remembers of the agent, so that a call begins with one click. */
export interface Me { agent_name: string; agent_state: string }

const KEY = "sottovoce.me";

export function me(): Me {
  const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Me>;
  return { agent_name: kept.agent_name ?? "", agent_state: kept.agent_state ?? "" };
}

export const remember = (now: Me): void => localStorage.setItem(KEY, JSON.stringify(now));
