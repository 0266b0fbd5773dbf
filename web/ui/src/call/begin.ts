/** The four ways in. Each begins a call on the server, follows it, and brings its sound by the same kind of peer connection. */

import * as api from "../api";
import { Ear } from "../peer/ear";
import { RoomSeat } from "../peer/room";
import { Seat } from "../peer/seat";
import { SoundLeg } from "../sound/leg";
import { microphone, why } from "../sound/microphone";
import { Seller } from "../sound/practice";
import { sampleCall } from "../sound/sample";
import { tabSound, watchSilence } from "../sound/tab";
import type { CallView, Contact, Speaker } from "../wire";
import * as live from "./live";

export interface Who { contact?: Partial<Contact>; agent_name?: string; agent_state?: string; prospect_state?: string; about?: string }

/** After the last word of a file, the time the recogniser gets before the call is hung up. */
const LAST_WORDS_MS = 1_800;
const SILENT_TAB = "No sound comes from the other tab. Is it muted there, or is the call in another window? Then share that one.";

/** Runs a way in; whatever goes wrong is a sentence on the page, and nothing stays half open. */
async function begun(way: () => Promise<void>): Promise<boolean> {
  live.trouble.value = "";
  try {
    await way();
    return true;
  } catch (failure) {
    if (live.busy.peek()) await live.hangUp();
    live.asking.value = null;
    live.leave();
    live.trouble.value = why(failure);
    return false;
  }
}

async function sent(id: string, tracks: [Speaker, MediaStreamTrack][]): Promise<SoundLeg> {
  const leg = new SoundLeg(id, tracks);
  await leg.open();
  return leg;
}

export const sample = () =>
  begun(async () => {
    const audio = new AudioContext();
    const playing = await sampleCall(audio);
    const view = await api.begin({ mode: "sample" });
    live.follow(view);
    const leg = await sent(view.id, playing.tracks);
    let stopped = false;
    live.carry({
      resumed: () => leg.again(),
      mute: (muted) => leg.mute("agent", muted),
      close: () => {
        stopped = true;
        leg.close();
        void audio.close();
      },
    });
    await audio.resume();
    playing.start();
    void playing.ended.then(() => setTimeout(() => stopped || void live.hangUp(), LAST_WORDS_MS));
  });

export const practice = () =>
  begun(async () => {
    const audio = new AudioContext();
    const [seller, mic] = await Promise.all([Seller.of(audio), microphone()]);
    const view = await api.begin({ mode: "microphone" });
    live.follow(view);
    const leg = await sent(view.id, seller.tracks(mic));
    let stopped = false;
    live.carry({
      resumed: () => leg.again(),
      mute: (muted) => leg.mute("agent", muted),
      event: (event) => seller.event(event),
      state: (state) => seller.state(state),
      close: () => {
        stopped = true;
        seller.stop();
        leg.close();
        void audio.close();
      },
    });
    await audio.resume();
    seller.start();
    void seller.ended.then(() => setTimeout(() => stopped || void live.hangUp(), LAST_WORDS_MS));
  });

async function sharedTab(id: string, tab: MediaStreamTrack, mic: MediaStreamTrack): Promise<void> {
  const leg = await sent(id, [["agent", mic], ["prospect", tab]]);
  const watching = watchSilence(tab, (silent) => {
    if (!live.busy.peek()) return;
    if (silent) live.trouble.value = SILENT_TAB;
    else if (live.trouble.peek() === SILENT_TAB) live.trouble.value = "";
  });
  const closed = () => {
    watching();
    leg.close();
  };
  live.carry({ resumed: () => leg.again(), mute: (muted) => leg.mute("agent", muted), close: closed });
  tab.addEventListener("ended", () => {
    watching();
    if (!live.busy.peek() || live.id.peek() !== id) return;
    live.carried.value = false;
    live.tabGone.value = true;
  });
}

/** The tab is asked for first: browsers grant it only right after a click. */
async function tabAndMicrophone(): Promise<[MediaStreamTrack, MediaStreamTrack]> {
  const tab = await tabSound();
  try {
    return [tab, await microphone()];
  } catch (failure) {
    tab.stop();
    throw failure;
  }
}

export const tab = (who: Who = {}) =>
  begun(async () => {
    const [shared, mic] = await tabAndMicrophone();
    const view = await api.begin({ mode: "tab", ...who });
    live.follow(view);
    await sharedTab(view.id, shared, mic);
  });

/** After a reload: the same call, its sound asked for anew. */
export const tabAgain = (id: string) =>
  tabAndMicrophone().then(([shared, mic]) => sharedTab(id, shared, mic), (failure: unknown) => { live.trouble.value = why(failure); });

const voice = () => {
  const out = new Audio();
  out.autoplay = true;
  return out;
};

function seated(id: string, mic: MediaStreamTrack): void {
  const out = voice();
  const seat = new Seat(id, "agent", mic, {
    welcome: (sentence) => { if (sentence) live.sentence.value = sentence; },
    present: (present) => { live.present.value = present; },
    consent: () => undefined, // the events say it, in order
    voice: (stream) => { out.srcObject = stream; void out.play().catch(() => undefined); },
    line: () => undefined, // the viewer's socket shows it
    ended: () => undefined,
    error: (detail) => { live.trouble.value = detail; },
  });
  live.carry({
    mute: (muted) => seat.mute(muted),
    bye: () => seat.bye(),
    close: () => {
      seat.close();
      out.srcObject = null;
    },
  });
}

function inRoom(id: string, mic: MediaStreamTrack): void {
  const seat = new RoomSeat(id, "agent", mic, () => api.room(id), {
    welcome: () => undefined,
    present: (present) => { live.present.value = present; },
    consent: () => undefined, // the events say it, in order
    line: () => undefined, // the viewer's socket shows it
    ended: () => undefined,
    error: (detail) => { live.trouble.value = detail; },
  });
  let ear: Ear | null = null;
  live.carry({
    mute: (muted) => seat.mute(muted),
    bye: () => seat.bye(),
    event: (event) => {
      // Whoever listens in may speak to the agent: in a room of their own, which the other side never joins.
      if (event.type === "notice_raised" && event.notice === "being_listened_to") {
        ear?.close();
        void api.whisper(id).then((way) => (ear = new Ear(way)).open()).catch(() => undefined);
      }
      if (event.type === "notice_cleared" && event.notice === "being_listened_to") ear?.close();
    },
    close: () => {
      ear?.close();
      seat.close();
    },
  });
}

/** A supervisor listens in: hears both sides, sees what the agent sees, and can speak to the agent alone. */
export const listenIn = (view: CallView) =>
  begun(async () => {
    const { url, token, whisper } = await api.listenIn(view.id);
    const over = () => { live.trouble.value = "You do not hear this call any more."; };
    const ear = new Ear({ url, token }, over), voice = new Ear({ url, token: whisper });
    await Promise.all([ear.open(), voice.open()]);
    live.follow(view);
    live.forget();
    live.watching.value = true;
    live.carry({
      whisper: (speaking) => void voice.speak(speaking).catch((failure: unknown) => { live.trouble.value = why(failure); }),
      close: () => {
        ear.close();
        voice.close();
      },
    });
  });

/** Browser to browser; in a LiveKit room where the server has one. */
export const browser = (who: Who = {}) =>
  begun(async () => {
    const [mic, { rooms }] = await Promise.all([microphone(), api.status()]);
    const view = await api.begin({ mode: rooms ? "livekit" : "browser", ...who });
    live.follow(view);
    live.invite.value = (await api.link(view.id)).url;
    (rooms ? inRoom : seated)(view.id, mic);
  });

/** A page that was reloaded in mid-call takes up what it can; what a click must grant again waits for the click. */
export async function takeUp(): Promise<void> {
  const kept = live.kept();
  if (kept === null || live.busy.peek()) return;
  try {
    const view = await api.read(kept.id);
    if (view.state !== "live") return live.forget();
    live.follow(view);
    live.carried.value = kept.mode === "phone"; // its sound never was this page's
    if (kept.mode === "browser") seated(kept.id, await microphone());
    if (kept.mode === "livekit") inRoom(kept.id, await microphone());
  } catch (failure) {
    if (failure instanceof api.Refused) live.forget();
    else live.trouble.value = why(failure);
  }
}
