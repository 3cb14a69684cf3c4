"""What schemathesis cannot draw from the schemas, and where it asks from."""

import base64
import itertools
import json
import os
import re
import sys

import schemathesis
import urllib3.connection
from hypothesis import strategies as st

# What the host has: texts by their format in the document.
THERE = json.loads(os.environ["COUNTERSIGN_THERE"])
keys = THERE["license-key"]

ascii_text = st.text(st.characters(codec="ascii"), min_size=1, max_size=512)
label = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,20}[A-Za-z0-9])?", fullmatch=True)
# No public suffix, under which a licence cannot be issued.
name = st.lists(label, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"]))
domain = name | st.ip_addresses().map(str)


def cursor(text):
    """The bytes as the registrar writes them: in Douglas Crockford's base32."""
    symbols = base64.b32encode(text).decode().rstrip("=")
    return symbols.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghjkmnpqrstvwxyz"))


identifier = "[0-9a-hjkmnp-tv-z]{26}"
others = {
    "license-id": st.from_regex(f"lic_{identifier}", fullmatch=True),
    "license-key": ascii_text,
    "policy-id": st.from_regex(f"pol_{identifier}", fullmatch=True),
    "product-code": st.from_regex("[a-z0-9-]{1,64}", fullmatch=True),
}
numbers = st.integers(1, 2**63 - 1)
hashes = st.binary(max_size=32).map(bytes.hex)
for format, there in THERE.items():
    schemathesis.openapi.format(format, st.sampled_from(there) | others[format])
schemathesis.openapi.format("domain", domain | name.map(lambda name: f"{name}:443"))
schemathesis.openapi.format("domain-rule", domain | name.map(lambda name: f"*.{name}"))
schemathesis.openapi.format("entity-tags", st.just("*") | st.integers(1, 9).map(lambda revision: f'"{revision}"'))
schemathesis.openapi.format("cursor", numbers.map(lambda number: cursor(number.to_bytes(8, "big"))))
schemathesis.openapi.format("reconcile-cursor", hashes.map(lambda after: cursor(b"k" + after.encode())))


unused = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes what is well formed fit what is there: else most of what is issued would be refused for that alone."""
    # The document's example, which must not have come before with another request.
    if case.headers and case.headers.get("Idempotency-Key") == "job-17":
        case.headers["Idempotency-Key"] = f"job-{next(unused)}"
    # A list of licences that follows another index has cursors of another form, of which none can
    # be drawn.
    if case.query and not {"expiringBefore", "search"}.isdisjoint(case.query):
        case.query.pop("cursor", None)
    if case.method == "POST" and isinstance(case.body, dict):
        if case.path in ("/api/v1/licenses", "/api/v1/licenses/{id}/rotate-key") and case.body.get("key") in keys:
            case.body["key"] += f" {next(unused)}"
        if re.fullmatch("[a-z0-9-]{1,64}", str(case.body.get("product"))) and case.path != "/api/v1/products":
            case.body["product"] = THERE["product-code"][0]


lines = st.sampled_from(keys).map(lambda key: json.dumps({"product": "acme", "plan": "pro", "key": key})) | ascii_text
cells = st.sampled_from(keys).map(lambda key: f"acme,pro,{key}") | ascii_text
schemathesis.openapi.media_type(
    "application/x-ndjson", st.lists(lines, max_size=5).map(lambda lines: "\n".join(lines).encode())
)
schemathesis.openapi.media_type(
    "text/csv", st.lists(cells, max_size=5).map(lambda rows: "\n".join(["product,plan,key", *rows]).encode())
)

# An address from which wrong tokens came has to wait. Those of the check `ignored_auth` must not
# hold up all that follows, so each connection has an address of its own, as if it came from another
# machine. Linux alone has 127.0.0.0/8 for that.
if sys.platform == "linux":
    addresses = itertools.count(1)
    connect = urllib3.connection.HTTPConnection.__init__

    def connect_from_elsewhere(self, *arguments, **options):
        number = next(addresses)
        options["source_address"] = (f"127.1.{number // 250 % 250}.{number % 250 + 1}", 0)
        connect(self, *arguments, **options)

    urllib3.connection.HTTPConnection.__init__ = connect_from_elsewhere
