"""Transactions whose fields are odd: numbers, instants, ids, keys, texts. Each row with all its reasons."""

from engine.domain.instants import HOUR_US, format_instant
from tests.hostile.cases import DUPLICATE, NOW, Case, Told, each, good, rows_case, taken, text_of
from tests.runtime.deck import to_csv

NOT_PLAIN = (
    "1e5", "1E5", "+1", ".5", "5.", ".", "-", "--1", "1-", "1.2.3", "(1)", "1/2",
    "NaN", "nan", "-nan", "Infinity", "-inf", "∞", "0x10", "0b1", "1n", "1f", "1d", "true", "null", "None",
    "１２", "١٢", "१२", "𝟏", "½", "²", "一", "−1", "﹣1", "1٫5", "1．5",
    "9" * 21, "0." + "1" * 19, "1." + "0" * 19, "0" * 21, "1_000", "1,000", "1.000,5", "1 000", "1'000",
    "1\u00a0000", "1\u202f000", "$1", "1 BTC", "1%", " 1", "1 ", "1\t", "1\n", "1\r", "\ufeff1", "1\u200b",
    "9" * 5_000, "=1+1", "{{1}}", "1;DROP TABLE tx",
)  # fmt: skip
NO_INSTANT = (
    "2025-03-01", "2025-03-01T10:00Z", "2025-03-01 10:00:00Z", "2025-03-01T10:00:00", "20250301T100000Z",
    "2025-03-01t10:00:00Z", "2025-03-01T10:00:00z", "2025-03-01T10:00:00+01:00", "2025-03-01T10:00:00-00:00",
    "2025-03-01T10:00:00+0000", "2025-03-01T10:00:00+00", "2025-03-01T10:00:00 UTC", "2025-W09-6T10:00:00Z",
    "2025-060T10:00:00Z", "2025-03-01T24:00:00Z", "2025-03-01T25:00:00Z", "2025-03-01T10:60:00Z",
    "2016-12-31T23:59:60Z", "2025-03-01T10:00:60Z", "2023-02-29T10:00:00Z", "2100-02-29T10:00:00Z",
    "2025-02-30T10:00:00Z", "2025-04-31T10:00:00Z", "2025-13-01T10:00:00Z", "2025-00-01T10:00:00Z",
    "2025-03-00T10:00:00Z", "2025-03-01T10:00:00.Z", "2025-03-01T10:00:00,5Z",
    "2025-03-01T10:00:00.0123456789Z", "2025-03-01T10:00:00.5", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999999999Z", "-001-01-01T00:00:00Z",
    "+2025-03-01T10:00:00Z", "12025-03-01T10:00:00Z", "２０２５-03-01T10:00:00Z", "٢٠٢٥-03-01T10:00:00Z",
    "1740823200", "45717.416", "01/03/2025 10:00", "Sat, 01 Mar 2025 10:00:00 GMT", "now", "today",
    " 2025-03-01T10:00:00Z", "2025-03-01T10:00:00Z ", "2025-03-01T10:00:00Z\n",
    "2025-03-01T10:00:00Z\u200b", "",
)  # fmt: skip
CONTROLS = {
    "esc-colour": "\x1b[31mred", "esc-clear": "\x1b[2J\x1b[H", "osc-title": "\x1b]0;title\x07",
    "osc-52": "\x1b]52;c;ZXZpbA==\x07", "osc-8": "\x1b]8;;http://x\x1b\\x", "dcs": "\x1bPq\x1b\\",
    "c1-csi": "\x9b31m", "c1-osc": "\x9d52;c;ZXZpbA==\x9c", "bell": "a\x07", "backspace": "ab\x08\x08",
    "delete": "a\x7f", "shift-out": "a\x0e", "next-line": "a\x85", "vertical-tab": "a\x0b",
    "bidi-override": "a\u202egpj.exe", "bidi-isolate": "\u2066a\u2069", "left-to-right-mark": "a\u200e",
    "arabic-letter-mark": "a\u061c", "zero-width-space": "a\u200bb", "zero-width-joiner": "a\u200db",
    "zero-width-non-joiner": "a\u200cb", "word-joiner": "a\u2060b", "soft-hyphen": "a\u00adb",
    "byte-order-mark": "a\ufeffb", "tag-letters": "a\U000e0041\U000e007f", "interlinear": "\ufff9a\ufffb",
    "private-use": "a\ue000", "private-plane": "a\U000f0000", "line-separator": "a\u2028b",
    "paragraph-separator": "a\u2029b", "shorthand-control": "a\U0001bca0", "musical-control": "a\U0001d173",
}  # fmt: skip
# The ways to attack that are told apart most often have a file of their own.
APART = ("esc-colour", "osc-52", "c1-csi", "bidi-override", "zero-width-joiner", "soft-hyphen", "tag-letters",
         "private-use")  # fmt: skip
# Texts that attack whoever interprets them; to us they are text.
MERELY_TEXT = (
    "[/nope]", "[red]x[/red]", "[bold", "\\[", "[link=file:///etc/passwd]x[/link]", "[@click=app.quit]x[/]",
    "'; DROP TABLE tx;--", '" OR 1=1 --', "Robert'); DELETE FROM files;--", "%s%n%x", "{0.__class__}",
    "{{7*7}}", "${jndi:ldap://x}", "$(reboot)", "`reboot`", "; reboot", "| sh", "<script>alert(1)</script>",
    "&lt;b&gt;", "../../etc/passwd", "/dev/null", "C:\\CON", "file:///etc/passwd", "\\x1b[31m", "\\u202e",
    "＝1+1", "＋1", "－1", "＠x", "'=1+1", " =1", "٣", "раураl", "pаypal", "e\u0301" * 40, "Ω≈ç√",
    "漢字" * 30,
    "👩", "🏳", "ﷺ" * 20, "\u0378", "\uffff", "\ufdd0", "null", "NaN", "true", "#REF!",
    "DDE(\"cmd\")", "\u3164", "\u2800", "a" * 128,
)  # fmt: skip
FORMULAS = ("=1+1", "=cmd|'/c calc'!A1", "+1", "-1", "@SUM(1)", "=", "+", "-", "@")
TEXTS = ("account", "wallet", "venue", "tx_hash", "external_id")
V7 = "01941f29-7c00-7f6a-b3ba-693f725a9a5b"
V7_OTHER = "01941f29-e140-7236-8802-1d2597f2a702"


def numbers() -> list[Case]:
    lots = [{"quantity": value, "unit_price_usd": "0"} for value in ("9" * 20, "1" + "0" * 19)]
    return [
        rows_case("number-quantity-not-plain",
                  *each("quantity", "QUANTITY_INVALID:quantity", *NOT_PLAIN, "")),
        rows_case("number-price-not-plain",
                  *each("unit_price_usd", "PRICE_INVALID:unit_price_usd", *NOT_PLAIN, "-1", "-0.5")),
        rows_case("number-fee-not-plain",
                  *(({"fee_asset": "BTC", "fee_amount": value}, "FEE_INVALID:fee_amount")
                    for value in (*NOT_PLAIN, "-1"))),
        rows_case("number-quantity-not-above-zero",
                  *each("quantity", "QUANTITY_SIGN:quantity", "0", "-0", "0.0", "00", "0." + "0" * 18, "-1",
                        "-0.000000000000000001", "0" * 20)),
        rows_case("number-quantity-plain",
                  *each("quantity", "", "1", "007", "1.50", "0.000000000000000001", "0" * 19 + "1",
                        "1." + "0" * 18)),
        rows_case("number-fee-row-of-any-sign",
                  *(({"action": "FEE", "quantity": value}, told)
                    for value, told in (("-1", ""), ("1", ""), ("-0", "QUANTITY_SIGN:quantity"),
                                        ("--1", "QUANTITY_INVALID:quantity")))),
        rows_case("number-price-plain", *each("unit_price_usd", "", "0", "-0", "0.0", "00.1")),
        rows_case("number-price-missing",
                  *each("unit_price_usd", "PRICE_MISSING:unit_price_usd", ""),
                  ({"action": "SELL", "unit_price_usd": ""}, "PRICE_MISSING:unit_price_usd"),
                  ({"action": "AIRDROP", "unit_price_usd": ""}, "")),
        rows_case("number-value-too-large",
                  ({"quantity": "9" * 20, "unit_price_usd": "1"}, "VALUE_OUT_OF_RANGE:quantity"),
                  ({"quantity": "1" + "0" * 10, "unit_price_usd": "1" + "0" * 9},
                   "VALUE_OUT_OF_RANGE:quantity"),
                  ({"fee_asset": "USD", "fee_amount": "1" + "0" * 19}, "VALUE_OUT_OF_RANGE:fee_amount"),
                  ({"quantity": "9" * 10, "unit_price_usd": "1" + "0" * 9}, "")),
        rows_case("number-quantities-whose-sum-is-too-large",
                  *((fields | {"asset_id": "HUGE"}, "") for fields in lots)),
        rows_case("number-fee-incomplete",
                  ({"fee_asset": "BTC"}, "FEE_INCOMPLETE:fee_amount"),
                  ({"fee_amount": "1"}, "FEE_INCOMPLETE:fee_asset"),
                  ({"fee_asset": "BTC", "fee_amount": "0"}, "")),
    ]  # fmt: skip


def instants() -> list[Case]:
    ahead = {hours: format_instant(NOW + hours * HOUR_US) for hours in (23, 25)}
    return [
        rows_case("instant-none", *each("timestamp", "TIMESTAMP_INVALID:timestamp", *NO_INSTANT)),
        rows_case("instant-odd-but-one",
                  *each("timestamp", "", "2025-03-01T10:00:00+00:00", "2025-03-01T10:00:00.5Z",
                        "2025-03-01T10:00:00.123456789Z", "2025-03-01T10:00:00.000000000+00:00",
                        "2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z")),
        rows_case("instant-at-the-beginning", *each("timestamp", "", "1970-01-01T00:00:00Z",
                                                    "1970-01-01T00:00:00.000001Z")),
        rows_case("instant-23-h-ahead", *each("timestamp", "", ahead[23])),
        rows_case("instant-25-h-ahead",
                  *each("timestamp", "TIMESTAMP_FUTURE:timestamp", ahead[25], "9999-12-31T23:59:59Z",
                        "9999-12-31T23:59:59.999999999Z")),
        rows_case("instant-one-apart-in-what-is-cut-off",
                  ({"timestamp": "2025-03-01T10:00:00.0000001Z", "external_id": "cut"}, ""),
                  ({"timestamp": "2025-03-01T10:00:00.0000002Z", "external_id": "cut"}, DUPLICATE)),
    ]  # fmt: skip


def ids() -> list[Case]:
    bare = {"external_id": ""}
    return [
        rows_case("id-no-uuid-v7",
                  *each("id", "ID_NOT_UUIDV7:id", "550e8400-e29b-41d4-a716-446655440000", "{" + V7 + "}",
                        "urn:uuid:" + V7, V7.replace("-", ""), V7.replace("-7f6a", "-1f6a"),
                        V7.replace("-b3ba", "-c3ba"), "00000000-0000-0000-0000-000000000000", V7 + "0",
                        V7[:-1],
                        f" {V7}", f"{V7}\n", V7.replace("0", "０"), V7.replace("a", "\u0430"), "1", "=1")),
        rows_case("id-upper-case", ({"id": V7.upper().replace("01941F29", "01941F2A")}, "")),
        rows_case("id-twice-in-one-file",
                  ({"id": V7} | bare, ""),
                  ({"id": V7} | bare, DUPLICATE),
                  ({"id": V7.upper()} | bare, DUPLICATE),
                  ({"id": V7, "quantity": "2"} | bare, "IDEMPOTENCY_CONFLICT:id")),
        rows_case("id-of-two-accounts",
                  ({"id": V7_OTHER, "account": "one"}, ""),
                  ({"id": V7_OTHER, "account": "two"}, "IDEMPOTENCY_CONFLICT:id")),
        rows_case("key-external-id-twice",
                  ({"external_id": "key-e"}, ""), ({"external_id": "key-e"}, DUPLICATE),
                  ({"external_id": "key-e", "quantity": "1.50"}, DUPLICATE),
                  ({"external_id": "key-e", "notes": "other words"}, DUPLICATE),
                  ({"external_id": "key-e", "quantity": "7"}, "IDEMPOTENCY_CONFLICT:external_id")),
        rows_case("key-legs-of-one-transaction",
                  ({"tx_hash": "0xlegs"} | bare, ""),
                  ({"tx_hash": "0xlegs", "action": "SELL", "asset_id": "ETH"} | bare, ""),
                  ({"tx_hash": "0xlegs", "quantity": "3"} | bare, ""),
                  ({"tx_hash": "0xlegs"} | bare, "IDEMPOTENCY_CONFLICT:tx_hash"),
                  ({"tx_hash": "0xlegs", "unit_price_usd": "7"} | bare, "IDEMPOTENCY_CONFLICT:tx_hash")),
        rows_case("key-equal-fills", *[({"account": "fills"} | bare, "")] * 3),
    ]  # fmt: skip


def texts() -> list[Case]:
    shown = [value for value in dict.fromkeys(MERELY_TEXT) if value]
    long = "x" * 129
    blank = ("", " ", "   ", "\u00a0", "\u3000")
    return [
        *_controls(),
        rows_case("text-merely-text",
                  *(({name: value}, "") for value in shown for name in ("account", "venue", "notes"))),
        rows_case("text-formula", *_formulas()),
        rows_case("text-formula-by-tab-or-cr",
                  *(({name: value}, f"FORMULA_PREFIX:{name} CONTROL_CHARACTER:{name}")
                    for value in ("\t=1", "\r=1") for name in TEXTS)),
        rows_case("text-formula-in-note", *each("notes", "", *FORMULAS, "\t=1", "\r=1", "\u200b=1", "\n=1")),
        rows_case("text-account-missing", *each("account", "ACCOUNT_MISSING:account", *blank)),
        rows_case("text-too-long", *(({name: long}, f"FIELD_TOO_LONG:{name}") for name in TEXTS),
                  ({"notes": "x" * 2001}, "FIELD_TOO_LONG:notes"),
                  ({"notes": "\u200b" * 2001}, "FIELD_TOO_LONG:notes")),
        rows_case("text-as-long-as-may-be", *(({name: long[1:]}, "") for name in TEXTS),
                  ({"notes": "x" * 2000}, ""), ({"wallet": "漢" * 128}, ""), ({"venue": "😀" * 128}, "")),
        rows_case("text-action",
                  *each("action", "ACTION_UNKNOWN:action", "", "buy", "Buy", " BUY", "BUY ", "B\u200bUY",
                        "ВUY", "ＢＵＹ", "DEPOSIT", "BUY\n", "BUY;SELL", "=BUY", "0")),
        *_assets(),
        Case("text-every-field-hostile",
             to_csv([good("text") | dict.fromkeys(good("text"), "=\x1b[2J\u202e")]),
             taken(0, r1="TIMESTAMP_INVALID:timestamp ACTION_UNKNOWN:action ASSET_ID_INVALID:asset_id"
                   " QUANTITY_INVALID:quantity PRICE_INVALID:unit_price_usd FORMULA_PREFIX:account"
                   " FORMULA_PREFIX:asset_id FORMULA_PREFIX:external_id CONTROL_CHARACTER:account"
                   " CONTROL_CHARACTER:asset_id CONTROL_CHARACTER:external_id")),
        Case("text-emoji-of-many-joined",
             text_of("text-emoji", notes="👩\u200d👩\u200d👧 نامه\u200cای"), taken()),
    ]  # fmt: skip


def _controls() -> list[Case]:
    """In a note such a character goes (or stays, if it joins); in any other text it is bad."""
    elsewhere: list[Told] = []
    for value in CONTROLS.values():
        elsewhere += [({name: value}, f"CONTROL_CHARACTER:{name}") for name in TEXTS]
        elsewhere += [
            ({"asset_id": value}, "ASSET_ID_INVALID:asset_id CONTROL_CHARACTER:asset_id"),
            ({"fee_asset": value, "fee_amount": "1"}, "FEE_INVALID:fee_asset CONTROL_CHARACTER:fee_asset"),
        ]
    notes = [note for value in CONTROLS.values() for note in (value, f"{value}=1+1")]
    return [
        rows_case("text-control-in-text", *elsewhere),
        rows_case("text-control-in-note", *each("notes", "", *notes)),
        *(rows_case(f"text-{kind}", ({"account": CONTROLS[kind]}, "CONTROL_CHARACTER:account"),
                    ({"notes": CONTROLS[kind]}, "")) for kind in APART),
    ]  # fmt: skip


def _formulas() -> list[Told]:
    told: list[Told] = [({name: value}, f"FORMULA_PREFIX:{name}") for value in FORMULAS for name in TEXTS]
    told += [({"asset_id": v}, "ASSET_ID_INVALID:asset_id FORMULA_PREFIX:asset_id") for v in FORMULAS]
    told += [({"fee_asset": v, "fee_amount": "1"}, "FEE_INVALID:fee_asset FORMULA_PREFIX:fee_asset")
             for v in FORMULAS]  # fmt: skip
    return told


def _assets() -> list[Case]:
    bad = (
        "", "../../x", "..", ".", "./x", "/etc/passwd", "a/b", "a\\b", "~root", ".hidden", "_x", ":x", "a b",
        " BTC", "BTC ", "BTC\u00a0", "ВТС", "BТC", "ＢＴＣ", "BTC/USD", "a,b", "a'b", 'a"b', "a;b", "a=b",
        "dt=2025-01-01",
        "%2e%2e", "a%00b", "$BTC", "b*", "b?", "[b]", "{b}", "ä", "漢", "😀", "x" * 65, "x" * 5_000,
    )  # fmt: skip
    odd = (
        "x" * 64, "CON", "NUL", "aux", "COM1", "con.csv", "a..b", "a.", "1", "0", "btc", "BTC-PERP", "a:b",
        "C:", "a_b", "nan", "null", "x__", "e1e5", "1e5", "0x10", "NO",
    )  # fmt: skip
    return [
        rows_case("asset-bad", *each("asset_id", "ASSET_ID_INVALID:asset_id", *bad)),
        rows_case("asset-odd-but-good", *each("asset_id", "", *odd)),
        rows_case("asset-of-a-fee-bad",
                  *(({"fee_asset": value, "fee_amount": "1"}, "FEE_INVALID:fee_asset") for value in bad[1:])),
    ]  # fmt: skip


def row_cases() -> list[Case]:
    return [*numbers(), *instants(), *ids(), *texts()]
