export class NoTabSound extends Error {}

/** Whether this browser can lend a page another tab's sound at all (Chrome and Edge on a computer can; Safari and Firefox cannot). */
export const canShareTab = (): boolean => typeof navigator.mediaDevices?.getDisplayMedia === "function" && "chrome" in window;

/** The sound of the tab that the agent chooses; its picture is stopped at once. */
export async function tabSound(): Promise<MediaStreamTrack> {
  if (typeof navigator.mediaDevices?.getDisplayMedia !== "function") {
    throw new NoTabSound("This browser cannot hand over another tab's sound. Chrome or Edge on a computer can.");
  }
  const wish: DisplayMediaStreamOptions & Record<string, unknown> = {
    video: true, // a picture must be asked for, or there is no choice of tab
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, suppressLocalAudioPlayback: false } as MediaTrackConstraints,
    selfBrowserSurface: "exclude",
    systemAudio: "exclude",
    surfaceSwitching: "exclude",
  };
  const stream = await navigator.mediaDevices.getDisplayMedia(wish);
  for (const picture of stream.getVideoTracks()) picture.stop();
  const [track] = stream.getAudioTracks();
  if (!track) {
    throw new NoTabSound("The tab came without its sound. Choose a tab (not a window or screen) and tick “Also share tab audio” at the bottom.");
  }
  return track;
}
