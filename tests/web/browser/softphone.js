// A telephone in a browser: JsSIP as it comes from npm, and windows through which a test looks into it.
import JsSIP from "jssip";

const SOUND = {
  mediaConstraints: { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false },
  pcConfig: { iceServers: [] },
};
let ua, session, context;
let heard = [];

// Every sample that the other side sends, at 8 kHz.
const listen = (peer) =>
  peer.addEventListener("track", ({ track }) => {
    heard = [];
    const stream = new MediaStream([track]);
    const speaker = new Audio(); // without one Chromium decodes nothing
    speaker.srcObject = stream;
    speaker.muted = true;
    speaker.play();
    context = new AudioContext({ sampleRate: 8000 });
    const tap = context.createScriptProcessor(1024, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => heard.push(...inputBuffer.getChannelData(0));
    context.createMediaStreamSource(stream).connect(tap);
    tap.connect(context.destination);
  });

const follow = (given) => {
  session = given;
  session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
  if (session.connection) listen(session.connection);
};

const once = (emitter, good, bad) =>
  new Promise((done, failed) => {
    emitter.on(good, done);
    emitter.on(bad, ({ cause, message }) => failed(new Error(`${bad}: ${cause} ${message?.status_code ?? ""}`)));
  });

window.phone = {
  async register(url, user, password) {
    ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(url)], uri: `sip:${user}@127.0.0.1`, password, register_expires: 60 });
    ua.on("newRTCSession", ({ originator, session: given }) => {
      if (originator !== "remote") return;
      follow(given);
      given.answer(SOUND);
    });
    const registered = once(ua, "registered", "registrationFailed");
    ua.start();
    await registered;
  },
  async call(number) {
    follow(ua.call(`sip:${number}@127.0.0.1`, SOUND));
    await once(session, "confirmed", "failed");
  },
  hold: () => new Promise((done) => session.hold({}, done)),
  unhold: () => new Promise((done) => session.unhold({}, done)),
  hangUp: () => session.terminate(),
  state: () => (session ? (session.isEnded() ? "ended" : session.isEstablished() ? "talking" : "ringing") : "idle"),
  heard: () => heard.map((sample) => Math.round(sample * 32767)),
};
