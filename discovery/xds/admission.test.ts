// The pace at which streams are let in, by an imagined clock.
import { describe, expect, test } from 'vitest';
import { Admission } from './admission.ts';

describe('admission', () => {
  test('a burst goes in at once, the next wait, and who would wait too long is refused', () => {
    const gate = new Admission(0, { maxRate: 100, burst: 10 });
    expect(Array.from({ length: 10 }, () => gate.admit(0))).toEqual(Array.from({ length: 10 }, () => 0));
    const waits = Array.from({ length: 100 }, () => gate.admit(0));
    expect(waits[0]).toBe(10);
    expect(waits[99]).toBe(1000);
    expect(gate.admit(0)).toBeUndefined();
  });

  test('refusals take no place: who comes again finds one', () => {
    const gate = new Admission(0, { maxRate: 10, burst: 1 });
    let admitted = 0;
    for (let now = 0; now < 60_000; now += 100)
      for (let i = 0; i < 50; i++) if (gate.admit(now) !== undefined) admitted++;
    expect(admitted).toBeGreaterThanOrEqual(600);
    expect(admitted).toBeLessThan(620);
  });

  test('a late event loop halves the rate down to a floor, a quiet one lets it recover', () => {
    const gate = new Admission(0, { maxRate: 400, minRate: 25, slowMs: 50 });
    for (let i = 1; i <= 10; i++) gate.observe(i * 100, 200);
    expect(gate.rate).toBe(25);
    for (let i = 11; i <= 30; i++) gate.observe(i * 100, 1);
    expect(gate.rate).toBe(400);
  });

  test('is quiet until somebody comes or the event loop is late, and once both are over', () => {
    const gate = new Admission(0, { maxRate: 100, minRate: 10, burst: 10, slowMs: 50 });
    expect(gate.isQuiet).toBe(true);
    gate.admit(0);
    expect(gate.isQuiet).toBe(false);
    gate.observe(100, 0);
    expect(gate.isQuiet).toBe(true);
    gate.observe(200, 100);
    expect(gate.isQuiet).toBe(false);
    for (let i = 3; i <= 10; i++) gate.observe(i * 100, 0);
    expect(gate.isQuiet).toBe(true);
  });
});
