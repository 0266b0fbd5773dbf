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

const LOOK_MS = 500;
/** A tab that never gave any sound, and one that did: with noise removal at the far end a person who listens is as still as that. */
const NEVER_MS = 15_000;
const NO_MORE_MS = 60_000;

/** Tells when a tab has given no sound at all for a while, and when it does again. Returns the way to stop. */
export function watchSilence(track: MediaStreamTrack, tell: (silent: boolean) => void): () => void {
  const audio = new AudioContext();
  const meter = new AnalyserNode(audio, { fftSize: 32_768 }); // 0.7 s at 48 kHz: no sound between two looks is missed
  new MediaStreamAudioSourceNode(audio, { mediaStream: new MediaStream([track]) }).connect(meter);
  const wave = new Float32Array(meter.fftSize);
  let heard = performance.now();
  let ever = false;
  let silent = false;
  const timer = setInterval(() => {
    meter.getFloatTimeDomainData(wave);
    if (wave.some((v) => Math.abs(v) > 1e-4)) {
      heard = performance.now();
      ever = true;
    }
    const now = performance.now() - heard >= (ever ? NO_MORE_MS : NEVER_MS);
    if (now !== silent) tell((silent = now));
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    if (audio.state !== "closed") void audio.close();
  };
}
