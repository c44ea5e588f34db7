/**
 * Facts to look up: "The access code of the north gate is 7F2A-91." The words are those that the
 * reader's training uses (training/corpus.py); the values and the texts around them are not.
 */

import type { SeededRandom } from './seeded-random.js';

const ADJECTIVES =
  'north south east west old new red blue green white black upper lower inner outer main small large second third first left right spare heavy light quiet secret hidden broken rusty golden silver wooden steel stone narrow wide deep local central former public private early late winter summer spring autumn'.split(
    ' ',
  );

const THINGS =
  'gate door tower bridge harbour office cellar garden kitchen library station factory mill school ship truck engine pump valve cabinet locker safe vault archive server printer router camera radio telescope elevator workshop warehouse barn chapel castle museum theatre market bakery hotel farm mine tunnel canal dock crane furnace boiler laboratory clinic depot hangar terminal platform signal antenna reservoir greenhouse stable orchard vineyard'.split(
    ' ',
  );

const ATTRIBUTES =
  'access code|serial number|password|key number|order number|phone extension|badge number|room number|registration|batch number|licence number|security code|part number|account number|reference|tracking code|pin|customer number|version|identifier|contract number|case number|ticket number|unlock code|secret word|label|inventory number|invoice number|file number|permit number|signal code|station code'.split(
    '|',
  );

const NAMES =
  'Anna Boris Clara David Elena Frank Greta Henry Irene Jonas Karin Leo Maria Nils Olga Peter Rosa Simon Tara Ulrich Vera Walter Xenia Yusuf Zoe Alice Bruno Carmen Diego Emma Felix Gloria Hugo Ingrid Jakob Laura Martin Nora Oscar Paula Robert Sara Thomas Ursula Victor Wanda'.split(
    ' ',
  );

export interface Subject {
  attribute: string;
  owner: string;
}

export interface Fact extends Subject {
  value: string;
}

export function drawSubject(random: SeededRandom, given: Partial<Subject> = {}): Subject {
  return {
    attribute: given.attribute ?? random.pick(ATTRIBUTES),
    owner: given.owner ?? drawOwner(random),
  };
}

function drawOwner(random: SeededRandom): string {
  const form = random.below(5);
  if (form < 3) return `the ${random.pick(ADJECTIVES)} ${random.pick(THINGS)}`;
  if (form === 3) return random.pick(NAMES);
  return `${random.pick(THINGS)} ${random.between(1, 99)}`;
}

export const subjectText = ({ attribute, owner }: Subject) => `${attribute} of ${owner}`;

export const factSentence = (fact: Fact) => `The ${subjectText(fact)} is ${fact.value}.`;

/** For a subject with several values. */
export const oneOfSentence = (fact: Fact) => `One ${subjectText(fact)} is ${fact.value}.`;
