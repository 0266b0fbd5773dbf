import type { RemoteParticipant, RemoteTrack, Room as LiveKitRoom, LocalTrackPublication } from "livekit-client";
import type { SeatHandlers } from "./seat";

/** A seat in a call that is held in a LiveKit room: the voices there, a word about consent to the server. Knows nothing of coaching. */

type Side = "agent" | "prospect";
type Joining = () => Promise<{ url: string; token: string }>;
type FromServer =
  | { from: "server"; kind: "welcome" | "consent"; consent?: string; state?: string; record: boolean; claude: boolean; sentence?: string }
  | { from: "server"; kind: "ended" }
  | { from: "server"; kind: "error"; detail: string };
type State = Parameters<SeatHandlers["consent"]>[0];

const ROLE = "sottovoce.role";

/** Whoever talks in the call: not a supervisor who listens, and the coach is not to be seen at all. */
const talks = (who: RemoteParticipant) => who.attributes[ROLE] === "agent" || who.attributes[ROLE] === "prospect" || "sip.callStatus" in who.attributes;

export class RoomSeat {
  #room: LiveKitRoom | null = null;
  #socket: WebSocket | null = null;
  #published: LocalTrackPublication | null = null;
  #muted = false;
  #timers = new Set<ReturnType<typeof setTimeout>>();
  #tries = 0;
  #closed = false;

  constructor(
    private readonly call: string,
    private readonly side: Side,
    private readonly own: MediaStreamTrack,
    private readonly joining: Joining,
    private readonly on: Omit<SeatHandlers, "voice">,
  ) {
    void this.#join();
    if (side === "prospect") this.#open(); // the agent's page has the viewer's socket
  }

  mute(muted: boolean): void {
    this.#muted = muted;
    void (muted ? this.#published?.mute() : this.#published?.unmute());
  }

  consent(state: "granted" | "refused" | "revoked", further: { record?: boolean; claude?: boolean } = {}): void {
    this.#say({ to: "server", kind: "consent", state, ...further });
  }

  bye(): void {
    // The room is closed for everybody by whoever coaches the call.
  }

  hangUp(): void {
    this.#say({ to: "server", kind: "hang_up" });
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket?.close();
    void this.#room?.disconnect();
    this.own.stop();
  }

  // ---- voices

  async #join(): Promise<void> {
    try {
      const [livekit, way] = await Promise.all([import("livekit-client"), this.joining()]);
      if (this.#closed) return;
      const room = new livekit.Room({ disconnectOnPageLeave: true, webAudioMix: false });
      this.#room = room;
      const { RoomEvent, Track, DisconnectReason } = livekit;
      const present = () => this.on.present([...room.remoteParticipants.values()].some(talks));
      room
        .on(RoomEvent.TrackSubscribed, (track: RemoteTrack) => { if (track.kind === Track.Kind.Audio) document.body.append(hear(track)); })
        .on(RoomEvent.TrackUnsubscribed, (track: RemoteTrack) => track.detach().forEach((element) => element.remove()))
        .on(RoomEvent.ParticipantConnected, present)
        .on(RoomEvent.ParticipantDisconnected, present)
        .on(RoomEvent.ParticipantAttributesChanged, present)
        .on(RoomEvent.Reconnecting, () => this.on.line(false))
        .on(RoomEvent.Reconnected, () => this.on.line(true))
        .on(RoomEvent.Disconnected, (reason) => {
          if (this.#closed || room !== this.#room) return;
          if (reason === DisconnectReason.ROOM_DELETED) return this.on.ended();
          if (reason === DisconnectReason.DUPLICATE_IDENTITY) return this.on.error("This call was opened in another page.");
          this.#again(() => void this.#join());
        });
      await room.connect(way.url, way.token, { autoSubscribe: true });
      // The microphone's own track, so that the page decides when it ends. Without DTX silence is sent as silence.
      this.#published = await room.localParticipant.publishTrack(this.own, { source: Track.Source.Microphone, dtx: false, red: true, stopMicTrackOnMute: false });
      if (this.#muted) await this.#published.mute();
      this.#tries = 0;
      this.on.line(true);
      present();
    } catch (failure) {
      if (this.#closed) return;
      if (failure instanceof Error && "status" in failure && (failure.status === 409 || failure.status === 401)) return this.on.ended();
      this.on.line(false);
      this.#again(() => void this.#join());
    }
  }

  #again(what: () => void): void {
    if (this.#closed) return;
    this.on.line(false);
    const timer = setTimeout(() => { this.#timers.delete(timer); what(); }, Math.min(4_000, 250 * 2 ** this.#tries++));
    this.#timers.add(timer);
  }

  // ---- consent

  #say(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #open(): void {
    const url = new URL(`/ws/seats/${this.call}?speaker=${this.side}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#server(JSON.parse(String(data)) as FromServer);
    socket.onclose = ({ code }) => {
      if (this.#closed || socket !== this.#socket) return;
      if (code === 4001 || code === 4004) return this.on.ended();
      if (code === 4010) return this.on.error("This call was opened in another page of this browser.");
      this.#again(() => this.#open());
    };
  }

  #server(message: FromServer): void {
    switch (message.kind) {
      case "welcome":
        this.on.welcome(message.sentence ?? "");
        return this.on.consent(message.consent as State, message);
      case "consent": return this.on.consent(message.state as State, message);
      case "ended": return this.on.ended();
      case "error": return this.on.error(message.detail);
    }
  }
}

function hear(track: RemoteTrack): HTMLMediaElement {
  const element = track.attach();
  element.hidden = true;
  return element;
}
