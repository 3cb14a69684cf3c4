"""Values that schemathesis cannot generate from the schemas, and the addresses that it sends from."""

import base64
import itertools
import json
import os
import re
import sys
from types import NoneType

import schemathesis
import urllib3.connection
from hypothesis import strategies as st

# The codes, ids and keys that exist on the host, by their format in the document.
THERE = json.loads(os.environ["COUNTERSIGN_THERE"])
keys = THERE["license-key"]

ascii_text = st.text(st.characters(codec="ascii"), min_size=1, max_size=512)
label = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,20}[A-Za-z0-9])?", fullmatch=True)
# Not public suffixes, for which no licence can be issued.
name = st.lists(label, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"]))
domain = name | st.ip_addresses().map(str)


def cursor(text):
    """The bytes in Crockford's base32, as the registrar encodes them."""
    symbols = base64.b32encode(text).decode().rstrip("=")
    return symbols.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghjkmnpqrstvwxyz"))


identifier = "[0-9a-hjkmnp-tv-z]{26}"
others = {
    "license-id": st.from_regex(f"lic_{identifier}", fullmatch=True),
    "license-key": ascii_text.filter(lambda text: any("!" <= character <= "~" for character in text)),
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
offsets = st.sampled_from(["", "Z", "+02:00", "-05:30"])
dates = st.tuples(st.dates(), offsets).map(lambda date: f"{date[0].isoformat()}{date[1]}")
schemathesis.openapi.format("date-with-offset", dates)
spans = st.tuples(st.integers(1, 99), st.sampled_from(["s", "m", "h", "d", "w", "mo", "y"]))
schemathesis.openapi.format("calendar-duration", spans.map(lambda span: f"{span[0]}{span[1]}") | st.just("P1Y6M"))
schemathesis.openapi.format("cursor", numbers.map(lambda number: cursor(number.to_bytes(8, "big"))))
schemathesis.openapi.format("audit-cursor", numbers.map(lambda number: cursor(f"c{number}".encode())))
schemathesis.openapi.format("reconcile-cursor", hashes.map(lambda after: cursor(b"k" + after.encode())))


def has_null(value):
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, NoneType) or isinstance(value, list) and any(map(has_null, value))


def has_unseen(value):
    """Whether a text in it consists of characters that cannot be seen, and that a pattern of the
    document cannot name: those outside of the basic plane."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return isinstance(value, str) and UNSEEN.fullmatch(value) is not None or any(map(has_unseen, values))


@schemathesis.hook
def filter_case(context, case):
    """Leaves out what the document says in words."""
    body = case.body if isinstance(case.body, dict) else {}
    query = set(case.query or {})
    leaves_out = {
        # Most licences let holders release only the seat that they hold, not one by its id.
        "/api/v1/deactivate": "activation" in body,
        # Seats are named in one way.
        "/api/v1/licenses/{id}/activations": case.method == "DELETE" and len(query & {"domain", "user", "fingerprint"}) > 1,
        # Many licences are found by a filter.
        "/api/v1/licenses/suspend": query.isdisjoint(FILTERS),
        "/api/v1/licenses/resume": query.isdisjoint(FILTERS),
    }
    if has_unseen(body):
        return False
    # Periods that are neither a word nor a duration.
    allowances = body.get("allowances")
    allowances = allowances if isinstance(allowances, list) else []
    periods = [allowance.get("period") for allowance in allowances if isinstance(allowance, dict)]
    if any(isinstance(period, str) and not PERIOD.fullmatch(period) for period in periods):
        return False
    # Days that do not exist. And features replace those of a policy, or are added to them.
    if leaves_out.get(case.path) or "0000-00-00" in body.values() or {"features", "addFeatures"} <= body.keys():
        return False
    # `null` is a field that is left out. In a PATCH it removes the field, but not in an array.
    if case.method == "PATCH":
        return not any(has_null(value) for value in body.values() if isinstance(value, list))
    return case.method != "POST" or not has_null(case.body)


UNSEEN = re.compile("[\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+")
PERIOD = re.compile(r"total|day|week|month|year|[0-9]+(s|m|h|d|w|mo|y)|P[0-9YMWDTHS]+")
FILTERS = {"product", "policy", "owner", "domain", "expiringBefore", "search"}
unused = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Fits generated values to what exists, so that most requests are not refused for that alone."""
    # The document's example, which must be new for each request.
    if case.headers and case.headers.get("Idempotency-Key") == "job-17":
        case.headers["Idempotency-Key"] = f"job-{next(unused)}"
    # A list by another index has cursors of another form, which cannot be generated.
    if case.query and not {"expiringBefore", "search"}.isdisjoint(case.query):
        case.query.pop("cursor", None)
    # Examples of fields that exclude each other, which `filter_case` does not see.
    if case.path == "/api/v1/licenses/{id}/activations" and case.method == "DELETE" and len(case.query or {}) > 1:
        for name in ("user", "fingerprint"):
            case.query.pop(name, None)
    if isinstance(case.body, dict) and {"features", "addFeatures"} <= case.body.keys():
        case.body.pop("addFeatures")
    if case.path == "/api/v1/deactivate" and isinstance(case.body, dict) and case.body.pop("activation", None):
        case.body["fingerprint"] = "machine-1"
    if case.method == "POST" and isinstance(case.body, dict):
        if case.path in ("/api/v1/licenses", "/api/v1/licenses/{id}/rotate-key") and case.body.get("key") in keys:
            case.body["key"] += f" {next(unused)}"
        if re.fullmatch("[a-z0-9-]{1,64}", str(case.body.get("product"))) and case.path != "/api/v1/products":
            case.body["product"] = THERE["product-code"][0]


# A zero at the beginning is that of another encoding.
line = ascii_text.filter(lambda text: "\0" not in text)
lines = st.sampled_from(keys).map(lambda key: json.dumps({"product": "acme", "plan": "pro", "key": key})) | line
cells = st.sampled_from(keys).map(lambda key: f"acme,pro,{key}") | line
schemathesis.openapi.media_type(
    "application/x-ndjson", st.lists(lines, max_size=5).map(lambda lines: "\n".join(lines).encode())
)
schemathesis.openapi.media_type(
    "text/csv", st.lists(cells, max_size=5).map(lambda rows: "\n".join(["product,plan,key", *rows]).encode())
)

# An address that sends wrong tokens must wait, and the check `ignored_auth` sends some. So that
# they delay no other request, each connection has its own address. Only Linux has 127.0.0.0/8 for
# that.
if sys.platform == "linux":
    addresses = itertools.count(1)
    connect = urllib3.connection.HTTPConnection.__init__

    def connect_from_elsewhere(self, *arguments, **options):
        number = next(addresses)
        options["source_address"] = (f"127.1.{number // 250 % 250}.{number % 250 + 1}", 0)
        connect(self, *arguments, **options)

    urllib3.connection.HTTPConnection.__init__ = connect_from_elsewhere
