import { render } from "preact";
import { takeUp } from "./call/begin";
import * as ringing from "./call/ringing";
import { listen } from "./overlay/keys";
import { Frame } from "./pages/frame";
import "./styles/base.css";
import "./styles/pages.css";
import "./styles/overlay.css";
import "./theme";

listen(document);
render(<Frame />, document.getElementById("app") as HTMLElement);
void takeUp().finally(ringing.listen);
