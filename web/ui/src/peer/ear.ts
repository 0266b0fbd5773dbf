import type { RemoteTrack, Room as LiveKitRoom } from "livekit-client";

/** Hears a LiveKit room, and where its token allows it speaks there while told to. */
export class Ear {
  #room: LiveKitRoom | null = null;
  #closed = false;

  constructor(private readonly way: { url: string; token: string }, private readonly over: () => void = () => undefined) {}

  async open(): Promise<void> {
    const { Room, RoomEvent, Track } = await import("livekit-client");
    if (this.#closed) return;
    const room = new Room();
    this.#room = room;
    room
      .on(RoomEvent.TrackSubscribed, (track: RemoteTrack) => {
        if (track.kind !== Track.Kind.Audio) return;
        const element = track.attach();
        element.hidden = true;
        document.body.append(element);
      })
      .on(RoomEvent.TrackUnsubscribed, (track: RemoteTrack) => track.detach().forEach((element) => element.remove()))
      .on(RoomEvent.Disconnected, () => { if (!this.#closed) this.over(); });
    await room.connect(this.way.url, this.way.token);
  }

  async speak(speaking: boolean): Promise<void> {
    await this.#room?.localParticipant.setMicrophoneEnabled(speaking);
  }

  close(): void {
    this.#closed = true;
    void this.#room?.disconnect();
  }
}
