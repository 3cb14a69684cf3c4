// The service behind the KV binding. workerd has no storage for it, and sends HTTP to a service in
// its process. This one is a Map, the fastest possible; the platform's is a network away.

import licenses from "licenses.json";

const values = new Map(Object.entries(licenses).map(([key, license]) => [key, JSON.stringify(license)]));

export default {
  fetch(request) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const value = values.get(key);
    return value === undefined ? new Response(null, { status: 404 }) : new Response(value);
  },
};
