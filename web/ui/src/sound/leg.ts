import * as api from "../api";
import type { Speaker } from "../wire";

/** Offers tracks to the server and keeps them arriving: a connection that fails is made anew with the same tracks. */
export class SoundLeg {
  #peer: RTCPeerConnection | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #closed = false;

  constructor(
    private readonly call: string,
    private readonly tracks: ReadonlyArray<readonly [Speaker, MediaStreamTrack]>,
  ) {}

  /** Resolves when sound can flow. Raises the server's refusal the first time; later failures are tried again. */
  async open(): Promise<void> {
    await this.#offer();
  }

  /** The server came back with a new process: what it knew of the old connection is gone. */
  again(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    void this.#offer().catch((failure: unknown) => {
      if (failure instanceof api.Refused && failure.status >= 400 && failure.status < 500) return; // the call is over
      this.#timer = setTimeout(() => this.again(), Math.min(4_000, 300 * 2 ** this.#tries++));
    });
  }

  mute(speaker: Speaker, muted: boolean): void {
    for (const [whose, track] of this.tracks) if (whose === speaker) track.enabled = !muted;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#peer?.close();
    for (const [, track] of this.tracks) track.stop();
  }

  async #offer(): Promise<void> {
    const peer = new RTCPeerConnection();
    const older = this.#peer;
    this.#peer = peer;
    const whose = this.tracks.map(([speaker, track]) => [peer.addTransceiver(track, { direction: "sendonly" }), speaker] as const);
    try {
      await peer.setLocalDescription();
      await gathered(peer);
      const mids = Object.fromEntries(whose.map(([transceiver, speaker]) => [transceiver.mid ?? "", speaker]));
      const { sdp } = await api.leg(this.call, peer.localDescription?.sdp ?? "", mids);
      await peer.setRemoteDescription({ type: "answer", sdp });
      await connected(peer);
    } catch (failure) {
      peer.close();
      if (this.#peer === peer) this.#peer = older;
      throw failure;
    }
    older?.close(); // heard until the new one brings sound
    this.#tries = 0;
    peer.onconnectionstatechange = () => {
      if (peer !== this.#peer || this.#closed) return;
      clearTimeout(this.#timer);
      if (peer.connectionState === "failed") this.again();
      if (peer.connectionState === "disconnected") this.#timer = setTimeout(() => this.again(), 2_000);
    };
  }
}

/** All candidates in the offer (the server does not trickle); not longer than 2 s, for a network that never says it is done. */
export function gathered(peer: RTCPeerConnection, limit_ms = 2_000): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, limit_ms);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

function connected(peer: RTCPeerConnection, limit_ms = 10_000): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (peer.connectionState === "connected") settle(resolve);
      if (peer.connectionState === "failed" || peer.connectionState === "closed") settle(() => reject(new Error("The sound did not get through to the server.")));
    };
    const settle = (done: () => void) => {
      clearTimeout(timer);
      peer.removeEventListener("connectionstatechange", look);
      done();
    };
    const timer = setTimeout(() => settle(() => reject(new Error("The sound did not get through to the server."))), limit_ms);
    peer.addEventListener("connectionstatechange", look);
    look();
  });
}
