// Licences in the isolate: a Map by key, parsed once.

import licenses from "licenses.json";
import { respond } from "validate.js";

const byKey = new Map(Object.entries(licenses));

export default {
  fetch: (request) => respond(request, (key) => byKey.get(key)),
};
