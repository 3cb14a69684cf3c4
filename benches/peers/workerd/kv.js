// Licences behind a KV binding, as on the platform: text by key, parsed for each request.

import { respond } from "validate.js";

export default {
  fetch: (request, env) => respond(request, (key) => env.LICENSES.get(key, "json")),
};
