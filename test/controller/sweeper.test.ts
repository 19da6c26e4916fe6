import { beforeEach, describe, expect, it } from 'vitest';
import { Sweeper } from '../../src/controller/sweeper.ts';
import { identityOf, type InstanceKey } from '../../src/liveness/instance-key.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { key, SECOND, TTL } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingObserver } from '../support/recording-observer.ts';

const BEAT = 50;

let clock: FakeClock;
let engine: LivenessEngine;
let selfDoubt: SelfDoubt;
let observer: RecordingObserver;
let handedOver: string[];
let crashes: unknown[];
let isJudging: boolean;
let sweeper: Sweeper;

beforeEach(() => {
  clock = new FakeClock();
  selfDoubt = new SelfDoubt();
  engine = new LivenessEngine(selfDoubt);
  observer = new RecordingObserver();
  handedOver = [];
  crashes = [];
  isJudging = true;
  sweeper = new Sweeper({
    clock,
    engine,
    selfDoubt,
    observer,
    enqueue: (key: InstanceKey) => handedOver.push(identityOf(key).instanceId),
    isJudging: () => isJudging,
    crash: (error) => crashes.push(error),
  });
});

describe('The sweeper', () => {
  it('looks every 50 ms, with one timer', async () => {
    sweeper.start();
    expect(clock.timers).toEqual([BEAT]);
    await clock.advance(10 * BEAT + 10);
    expect(clock.timers).toEqual([11 * BEAT]);
  });

  it('hands over an instance at the first beat at or after its deadline, and not before', async () => {
    engine.adopt(key('on-the-beat'), TTL, 0, UNKNOWN_SENDER);
    engine.adopt(key('just-after'), TTL, 1, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(TTL - 1);
    expect(handedOver).toEqual([]);
    await clock.advance(1);
    expect(handedOver).toEqual(['on-the-beat']);
    await clock.advance(BEAT);
    expect(handedOver).toEqual(['on-the-beat', 'just-after']);
  });

  it.each([1, 2, 3])(
    'counts a heartbeat that is read %d turns of the event loop after the deadline came',
    async (turns) => {
      engine.adopt(key('beats'), TTL, 0, UNKNOWN_SENDER);
      engine.adopt(key('silent'), TTL, 0, UNKNOWN_SENDER);
      sweeper.start();
      let arrive = (): void => {
        engine.record(key('beats'), clock.nowMs(), UNKNOWN_SENDER);
      };
      for (let turn = 1; turn < turns; turn += 1) {
        const next = arrive;
        arrive = () => clock.arriveOnTurn(next);
      }
      clock.arriveOnTurn(arrive);
      await clock.advance(TTL);
      expect(handedOver).toEqual(['silent']);
      await clock.advance(TTL);
      expect(handedOver).toEqual(['silent', 'beats']);
    },
  );

  it('lets no turn pass when nothing is due', async () => {
    engine.adopt(key('a'), TTL, 0, UNKNOWN_SENDER);
    let isRead = false;
    clock.arriveOnTurn(() => {
      isRead = true;
    });
    sweeper.start();
    await clock.advance(TTL - 1);
    expect(isRead).toBe(false);
  });

  it('hands over at most a thousand in one turn of the event loop, and all of them in one beat', async () => {
    for (let index = 0; index < 2_500; index += 1) engine.adopt(key(`i${index}`), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    const perTurn: number[] = [];
    let before = 0;
    const count = (): void => {
      perTurn.push(handedOver.length - before);
      before = handedOver.length;
      if (perTurn.length < 20) clock.arriveOnTurn(count);
    };
    clock.arriveOnTurn(count);
    await clock.advance(TTL);
    expect(handedOver).toHaveLength(2_500);
    expect(perTurn.filter((number) => number > 0)).toEqual([1_000, 1_000]);
  });

  it('judges by the moment at which the beat began, however long the handing over takes', async () => {
    engine.adopt(key('due'), TTL, 0, UNKNOWN_SENDER);
    engine.adopt(key('due-a-moment-later'), TTL, 10, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(TTL);
    expect(handedOver).toEqual(['due']);
  });

  it('notices a stall, tells of it, and grants the time, after which the silent one is handed over', async () => {
    engine.adopt(key('beats'), TTL, 0, UNKNOWN_SENDER);
    engine.adopt(key('silent'), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(SECOND);
    await clock.stall(3 * TTL);
    expect(handedOver).toEqual([]);
    expect(observer.stalls).toEqual([3 * TTL]);
    engine.record(key('beats'), clock.nowMs(), UNKNOWN_SENDER);
    await clock.advance(TTL - BEAT);
    expect(handedOver).toEqual([]);
    engine.record(key('beats'), clock.nowMs(), UNKNOWN_SENDER);
    await clock.advance(BEAT);
    expect(handedOver).toEqual(['silent']);
  });

  it('does not take a beat that is a little late for a stall', async () => {
    sweeper.start();
    await clock.advance(SECOND);
    await clock.stall(190);
    await clock.advance(SECOND);
    expect(observer.stalls).toEqual([]);
  });

  it('does not take a long handing over for a stall, as long as each turn is short', async () => {
    for (let index = 0; index < 20_000; index += 1) engine.adopt(key(`i${index}`), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(TTL - BEAT);
    const turn = clock.turn.bind(clock);
    clock.turn = async () => {
      await turn();
      clock.work(20);
    };
    const startMs = clock.nowMs();
    await clock.advance(BEAT);
    // The whole sweep took twice as long as what counts as a stall.
    expect(clock.nowMs() - startMs).toBeGreaterThan(400);
    await clock.advance(10 * BEAT);
    expect(handedOver).toHaveLength(20_000);
    expect(observer.stalls).toEqual([]);
  });

  it('tells how many verdicts were passed only because self-doubt has a cap', async () => {
    engine.adopt(key('a'), SECOND, 0, UNKNOWN_SENDER);
    sweeper.start();
    for (let count = 0; count < 400; count += 1) await clock.stall(300);
    expect(handedOver).toEqual(['a']);
    expect(observer.cappedCount).toBe(1);
  });

  it('judges nobody while the listener is closed, and after a time to live the silent one', async () => {
    engine.adopt(key('a'), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(SECOND);
    selfDoubt.stopListening(clock.nowMs());
    await clock.advance(3 * TTL);
    expect(handedOver).toEqual([]);
    selfDoubt.startListening(clock.nowMs());
    await clock.advance(TTL);
    expect(handedOver).toEqual(['a']);
  });

  it('judges nobody before it is known how long each may be silent, and notices stalls meanwhile', async () => {
    isJudging = false;
    engine.adopt(key('a'), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(3 * TTL);
    await clock.stall(SECOND);
    expect([handedOver, observer.stalls]).toEqual([[], [SECOND]]);
    isJudging = true;
    await clock.advance(BEAT);
    expect(handedOver).toEqual(['a']);
  });

  it('notices a stall that happens before its first beat', async () => {
    engine.adopt(key('a'), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.stall(3 * TTL);
    expect([handedOver, observer.stalls]).toEqual([[], [3 * TTL]]);
    await clock.advance(TTL);
    expect(handedOver).toEqual(['a']);
  });

  it('does nothing more when it is stopped, not even in the middle of a sweep', async () => {
    for (let index = 0; index < 2_500; index += 1) engine.adopt(key(`i${index}`), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(TTL - BEAT);
    for (let turn = 0; turn < 5; turn += 1) {
      const isLast = turn === 4;
      const sweptFirst = (): void => {
        if (handedOver.length > 0) sweeper.stop();
        else if (!isLast) clock.arriveOnTurn(sweptFirst);
      };
      clock.arriveOnTurn(sweptFirst);
    }
    await clock.advance(10 * BEAT);
    expect(handedOver).toHaveLength(1_000);
    expect(clock.timers).toEqual([]);
  });

  it('tells of a mistake of ours instead of going on as if nobody had to be judged', async () => {
    const mistake = new Error('a mistake');
    engine.takeStale = () => {
      throw mistake;
    };
    engine.adopt(key('a'), TTL, 0, UNKNOWN_SENDER);
    sweeper.start();
    await clock.advance(TTL);
    expect(crashes).toEqual([mistake]);
  });
});
