/** A key's expiry from the fields of the form, and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldsOf, instantOf, isOf, offsetOf } from "../../server/web/static/js/console/keys/expiry.js";

const NOW = Date.parse("2026-11-26T12:00:00Z");

/** Run with another time zone than that of this process. */
function inZone(zone, act) {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try {
    act();
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}

test("days from now, never, and a date that is not whole", () => {
  assert.equal(instantOf({ choice: "30", at: "", zone: "local" }, NOW), "2026-12-26T12:00:00.000Z");
  assert.equal(instantOf({ choice: "never", at: "2027-01-01T00:00", zone: "utc" }, NOW), null);
  assert.equal(instantOf({ choice: "at", at: "", zone: "local" }, NOW), undefined);
});

test("a date is of the zone that stands beside it", () => {
  inZone("America/New_York", () => {
    const at = "2027-07-01T09:30";
    assert.equal(instantOf({ choice: "at", at, zone: "utc" }), "2027-07-01T09:30:00.000Z");
    assert.equal(instantOf({ choice: "at", at, zone: "local" }), "2027-07-01T13:30:00.000Z");
    // Winter, when the clock is an hour behind.
    assert.equal(instantOf({ choice: "at", at: "2027-01-01T09:30", zone: "local" }), "2027-01-01T14:30:00.000Z");
    assert.equal(offsetOf("2027-07-01T13:30:00Z"), "UTC-04:00");
    assert.equal(offsetOf("2027-01-01T14:30:00Z"), "UTC-05:00");
  });
});

test("an expiry that nobody touches is known as it was, whatever the zone", () => {
  // The last two are one time of the day in Berlin, where the clock is set back between them.
  const all = ["2027-03-28T01:59:37.123456Z", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"];
  for (const zone of ["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", "Europe/Berlin"]) {
    inZone(zone, () => {
      for (const ends of all) for (const shown of ["local", "utc"]) assert.ok(isOf(fieldsOf(ends, shown), ends), zone);
    });
  }
  assert.equal(instantOf(fieldsOf(null)), null);
  assert.ok(isOf({ choice: "never", at: "2027-01-01T00:00", zone: "local" }, null));
  assert.ok(!isOf(fieldsOf(null), "2027-01-01T00:00:00Z"));
  assert.ok(!isOf({ choice: "at", at: "2027-01-01T00:01", zone: "utc" }, "2027-01-01T00:00:00Z"));
});
