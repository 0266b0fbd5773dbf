/** A seat in a call between two browsers: the other voice peer to peer, one's own also to the server. Knows nothing of coaching. */

type Side = "agent" | "prospect";
type Consent = "unknown" | "announced" | "granted" | "refused" | "revoked";
type FromServer =
  | { from: "server"; kind: "welcome"; speaker: Side; present: boolean; consent: Consent; record: boolean; claude: boolean; sentence: string }
  | { from: "server"; kind: "present"; present: boolean }
  | { from: "server"; kind: "consent"; state: Consent; record: boolean; claude: boolean }
  | { from: "server"; kind: "leg"; sdp: string }
  | { from: "server"; kind: "ended" }
  | { from: "server"; kind: "error"; detail: string };
type FromPeer =
  | { kind: "offer" | "answer"; sdp: string }
  | { kind: "candidate"; candidate: RTCIceCandidateInit }
  | { kind: "renegotiate" | "bye" };

export interface SeatHandlers {
  welcome(sentence: string): void;
  present(present: boolean): void;
  consent(state: Consent, further: { record: boolean; claude: boolean }): void;
  voice(stream: MediaStream): void;
  line(open: boolean): void;
  ended(): void;
  error(detail: string): void;
}

export class Seat {
  #socket: WebSocket | null = null;
  #peer: RTCPeerConnection | null = null;
  #leg: RTCPeerConnection | null = null;
  #early: RTCIceCandidateInit[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #legTimer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #closed = false;

  constructor(private readonly call: string, private readonly side: Side, private readonly own: MediaStreamTrack, private readonly on: SeatHandlers) {
    this.#open();
  }

  mute(muted: boolean): void {
    this.own.enabled = !muted;
    this.#say({ to: "server", kind: "mute", muted });
  }

  /** `further`: what a yes holds beside being listened to; left out, it stays as it was. */
  consent(state: "granted" | "refused" | "revoked", further: { record?: boolean; claude?: boolean } = {}): void {
    this.#say({ to: "server", kind: "consent", state, ...further });
  }

  /** The other page need not wait until the server has heard out the last words. */
  bye(): void {
    this.#say({ to: "peer", kind: "bye" });
  }

  hangUp(): void {
    this.bye();
    this.#say({ to: "server", kind: "hang_up" });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#legTimer);
    this.#socket?.close();
    this.#peer?.close();
    this.#leg?.close();
    this.own.stop();
  }

  #say(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #open(): void {
    const url = new URL(`/ws/seats/${this.call}?speaker=${this.side}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as FromServer | ({ to: "peer" } & FromPeer);
      void ("from" in message ? this.#server(message) : this.#other(message)).catch(() => this.on.error("The connection to the other side could not be set up."));
    };
    socket.onclose = ({ code }) => {
      if (this.#closed || socket !== this.#socket) return;
      this.on.line(false);
      if (code === 4001 || code === 4004) return this.on.ended();
      if (code === 4010) return this.on.error("This call was opened in another page of this browser."); // two pages would take turns for ever
      // The two go on hearing each other: the peer connection is left alone, only the server is sought again.
      this.#timer = setTimeout(() => this.#open(), Math.min(4_000, 250 * 2 ** this.#tries++));
    };
  }

  async #server(message: FromServer): Promise<void> {
    switch (message.kind) {
      case "welcome":
        this.#tries = 0;
        this.on.line(true);
        this.on.welcome(message.sentence);
        this.on.consent(message.consent, message);
        this.on.present(message.present);
        if (!this.own.enabled) this.#say({ to: "server", kind: "mute", muted: true });
        await this.#offerLeg();
        if (message.present) await this.#meet();
        break;
      case "present":
        this.on.present(message.present);
        if (message.present) await this.#meet();
        break;
      case "leg":
        if (this.#leg?.signalingState === "have-local-offer") await this.#leg.setRemoteDescription({ type: "answer", sdp: message.sdp });
        break;
      case "consent": return this.on.consent(message.state, message);
      case "ended": return this.on.ended();
      case "error": return this.on.error(message.detail);
    }
  }

  /** One's own microphone to the server, send only; made anew when it fails. */
  async #offerLeg(): Promise<void> {
    this.#leg?.close();
    const leg = new RTCPeerConnection();
    this.#leg = leg;
    leg.addTransceiver(this.own, { direction: "sendonly" });
    leg.onconnectionstatechange = () => {
      clearTimeout(this.#legTimer);
      if (leg !== this.#leg || this.#closed || this.#socket?.readyState !== WebSocket.OPEN) return;
      const wait = leg.connectionState === "failed" ? 0 : leg.connectionState === "disconnected" ? 2_000 : null;
      if (wait !== null) this.#legTimer = setTimeout(() => void this.#offerLeg(), wait);
    };
    await leg.setLocalDescription();
    await new Promise<void>((resolve) => {
      if (leg.iceGatheringState === "complete") return resolve();
      setTimeout(resolve, 2_000);
      leg.onicegatheringstatechange = () => leg.iceGatheringState === "complete" && resolve();
    });
    if (leg === this.#leg) this.#say({ to: "server", kind: "leg", sdp: leg.localDescription?.sdp });
  }

  /** The agent's seat makes the offer when both are present; a connection that works is left alone. */
  async #meet(): Promise<void> {
    if (this.#peer !== null && ["connected", "connecting"].includes(this.#peer.connectionState)) return;
    if (this.side === "agent") await this.#offerPeer();
    else this.#say({ to: "peer", kind: "renegotiate" });
  }

  async #offerPeer(): Promise<void> {
    const peer = this.#newPeer();
    await peer.setLocalDescription();
    this.#say({ to: "peer", kind: "offer", sdp: peer.localDescription?.sdp });
  }

  #newPeer(): RTCPeerConnection {
    this.#peer?.close();
    this.#early = [];
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    peer.addTrack(this.own, new MediaStream([this.own]));
    peer.onicecandidate = ({ candidate }) => candidate && this.#say({ to: "peer", kind: "candidate", candidate: candidate.toJSON() });
    peer.ontrack = ({ track, streams }) => this.on.voice(streams[0] ?? new MediaStream([track]));
    peer.onconnectionstatechange = () => {
      if (peer !== this.#peer || this.#closed || peer.connectionState !== "failed") return;
      void this.#meet();
    };
    return peer;
  }

  async #other(message: FromPeer): Promise<void> {
    switch (message.kind) {
      case "offer": {
        const peer = this.#newPeer();
        await peer.setRemoteDescription({ type: "offer", sdp: message.sdp });
        await this.#flush(peer);
        await peer.setLocalDescription();
        this.#say({ to: "peer", kind: "answer", sdp: peer.localDescription?.sdp });
        break;
      }
      case "answer":
        if (this.#peer?.signalingState !== "have-local-offer") break;
        await this.#peer.setRemoteDescription({ type: "answer", sdp: message.sdp });
        await this.#flush(this.#peer);
        break;
      case "candidate":
        if (this.#peer?.remoteDescription) await this.#peer.addIceCandidate(message.candidate);
        else this.#early.push(message.candidate);
        break;
      case "renegotiate":
        // Asked by a page that was loaded anew or lost the connection: ours is of no use any more, whatever it believes.
        if (this.side === "agent" && this.#peer?.signalingState !== "have-local-offer") await this.#offerPeer();
        break;
      case "bye": return this.on.ended();
    }
  }

  async #flush(peer: RTCPeerConnection): Promise<void> {
    for (const candidate of this.#early.splice(0)) await peer.addIceCandidate(candidate);
  }
}
