/** A sentence for a person, for what a browser says when a device cannot be had. */
export function why(failure: unknown): string {
  const name = failure instanceof DOMException ? failure.name : "";
  switch (name) {
    case "NotAllowedError": return "The browser was not allowed to use the microphone. Allow it in the address bar, then try again.";
    case "NotFoundError": return "No microphone was found. Plug one in, then try again.";
    case "NotReadableError": return "The microphone is in use by another program.";
    default: return failure instanceof Error ? failure.message : "Something went wrong.";
  }
}

/** The microphone as one mono track, with the browser's own echo removal: the other voice comes out of this computer. */
export async function microphone(): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("This browser gives pages no microphone here. Open Sottovoce by its localhost or https address.");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
  const [track] = stream.getAudioTracks();
  if (!track) throw new Error("No microphone was found.");
  return track;
}
