import { describe, expect, it } from 'vitest';
import { FailedLogins } from '../../src/server/failed-logins.js';

const limited = expect.objectContaining({ code: 'GP_RATE_LIMITED' });

const logins = () => {
  const clock = { now: 1_000 };
  const failed = new FailedLogins(
    { failures: 3, windowMs: 60_000, knownMs: 120_000 },
    () => clock.now,
  );
  const fail = (address: string, times: number) => {
    for (let i = 0; i < times; i++) failed.failed(address);
  };
  return { clock, failed, fail };
};

describe('keys that are not valid', () => {
  it('may be tried a few times from an address, and again after the window', () => {
    const { clock, failed, fail } = logins();
    fail('192.0.2.1', 2);
    failed.assertMayTry('192.0.2.1', 'x');
    fail('192.0.2.1', 1);
    expect(() => failed.assertMayTry('192.0.2.1', 'x')).toThrow(limited);
    failed.assertMayTry('192.0.2.2', 'x');
    clock.now += 59_999;
    expect(() => failed.assertMayTry('192.0.2.1', 'x')).toThrow(limited);
    clock.now += 1;
    failed.assertMayTry('192.0.2.1', 'x');
    fail('192.0.2.1', 1);
    failed.assertMayTry('192.0.2.1', 'x');
  });

  it('say when to come back', () => {
    const { clock, failed, fail } = logins();
    fail('192.0.2.1', 3);
    clock.now += 40_000;
    expect(() => failed.assertMayTry('192.0.2.1', 'x')).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ retryAfterS: 20 }) }),
    );
  });

  it('keep a key that was valid lately from nothing', () => {
    const { clock, failed, fail } = logins();
    failed.succeeded('good');
    fail('192.0.2.1', 30);
    failed.assertMayTry('192.0.2.1', 'good');
    expect(() => failed.assertMayTry('192.0.2.1', 'bad')).toThrow(limited);
    clock.now += 120_001;
    fail('192.0.2.1', 3);
    expect(() => failed.assertMayTry('192.0.2.1', 'good')).toThrow(limited);
  });

  it('count for a whole network of IPv6, and for one address of IPv4', () => {
    const { failed, fail } = logins();
    fail('2001:db8:1:2::1', 1);
    fail('2001:DB8:1:2:ffff::9', 1);
    fail('2001:db8:1:2:a:b:c:d', 1);
    expect(() => failed.assertMayTry('2001:db8:1:2::77', 'x')).toThrow(limited);
    failed.assertMayTry('2001:db8:1:3::1', 'x');
    fail('::ffff:192.0.2.7', 3);
    failed.assertMayTry('::ffff:192.0.2.8', 'x');
  });

  it('are remembered of a bounded number of addresses', () => {
    const { failed, fail } = logins();
    fail('192.0.2.1', 3);
    for (let i = 0; i < 10_000; i++) failed.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    failed.assertMayTry('192.0.2.1', 'x');
  });
});
