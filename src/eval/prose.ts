/**
 * Endless plain English for haystacks where no text file is given: printable ASCII, no values in it.
 * Names make it cost nearly as many tokens as real prose (4.6 characters a token in o200k_base).
 */

import type { SeededRandom } from './seeded-random.js';

const list = (words: string) => words.split('|');

const PEOPLE = list(
  'the harbour master|the night porter|an old fisherman|the schoolteacher|my neighbour|the young surveyor|a travelling merchant|the baker and his sister|the gardener|our guide|a retired captain|the committee|the postman|Mrs. Halloway|old Tobias Ferncliff|Dr. Ashgrove|Sergeant Penhallow|Miss Quillfeather|Edmund Thistlewood|the eldest Brambley|Captain Oswin Marsh|Reverend Tunstall|Agatha Wexcombe|Josiah Kettleby|the Drumlanrig twins|two of the clerks|the new apprentice|the widow from the mill|the stationmaster|a visitor from the coast|the choir|the older children',
);
const ACTIONS = list(
  'walked slowly along|remembered the way through|had often spoken about|looked for a place near|wrote a long letter about|was asked to describe|kept a careful record of|painted the walls of|never agreed on the price of|waited for news from|took the short road past|told a strange story about|was thought to have built|cleared the snow from|planned to sell|brought fresh bread to|carried the lamps into|wanted to measure|had lost a coat in|found an empty bottle under',
);
const PLACES = list(
  'the long wall by the river|a house with green shutters|the meadow behind the church|that row of crooked trees|the low hills in the distance|an inn at the crossroads|the market square|the lane that leads to the sea|a narrow flight of steps|the field where the horses grazed|the upper end of the valley|a boathouse without a roof|the village hall|a cottage beyond the ridge|the quay at low water|the woods on the far shore|Kelwick Sands|the ford at Upper Dunsley|Saltmarsh Lane|the Hathersage turnpike|Gullane Point|the sluice below Wyvern Mill|Cobbler Row|the Pendrithwaite estate|the kilns at Brackenhythe|Lower Ottermouth|the ropewalk off Tanner Street|the Swithun churchyard|a path nobody used any more|the yard of the old brewery|the little railway halt|a bench under the chestnut',
);
const TIMES = list(
  'in the first warm days of the year|before the rain came|late in the afternoon|on most evenings|after the harvest was in|when the wind turned to the west|during the long holidays|at about the same hour|long before the road was paved|as soon as the fog lifted|in spite of the cold|while the others were still asleep|towards the end of the war|without much hurry|on the morning of the fair',
);
const REASONS = list(
  'because there was nothing else to do|although nobody had asked for it|so that the others could rest|and the weather did not matter|which surprised everyone who knew them|but the matter was soon forgotten|and that was the end of it|since the ferry did not run on that day|as if it had always been so|and a great many people came to watch|which took longer than expected|until the light began to fail|and no one could say why|though the work was poorly paid|and the dog followed at a distance',
);
const REMARKS = list(
  'It was a quiet time|Nothing much changed after that|There were other opinions, of course|The details are not important here|Such things happen more often than one would think|Some of this was written down much later|The rest is easy to imagine|Everyone seemed content with it|It would be wrong to make too much of this|The bells could be heard from far away|A light was burning in one of the windows|Nobody spoke for a while|The smell of wood smoke hung in the air|By then the boats had all come home',
);

function capitalised(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}

export function drawSentence(random: SeededRandom): string {
  const clause = () => `${random.pick(PEOPLE)} ${random.pick(ACTIONS)} ${random.pick(PLACES)}`;
  switch (random.below(6)) {
    case 0:
      return `${random.pick(REMARKS)}.`;
    case 1:
      return `${capitalised(random.pick(TIMES))}, ${clause()}.`;
    case 2:
      return `${capitalised(clause())} ${random.pick(TIMES)}.`;
    case 3:
      return `${capitalised(clause())}; ${clause()}.`;
    case 4:
      return `${capitalised(random.pick(TIMES))} ${clause()}, ${random.pick(REASONS)}.`;
    default:
      return `${capitalised(clause())}, ${random.pick(REASONS)}.`;
  }
}
