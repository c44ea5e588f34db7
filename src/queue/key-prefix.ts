/** In front of every key in Redis; BullMQ's keys lie below `gp:bull`. */
export const KEY_PREFIX = 'gp';
