// The desk's scripts. Every page works without them; they make it fast and live.

import { startClock } from "./clock.js";
import { startHelp } from "./help.js";
import { startInbox } from "./inbox.js";
import { startReview } from "./review.js";
import { startList } from "./list.js";
import { startUndo } from "./undo.js";

startClock();
startHelp();
const page = document.body.dataset.page;
if (page === "inbox" || page === "review") startUndo();
if (page === "inbox") startInbox();
if (page === "review") startReview();
if (page === "list") startList();
