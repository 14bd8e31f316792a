// Chance that is the same on every machine: each use names its own key, so adding a use changes no other.

const SEED = 'webstill web fashion 1';

/** A 32-bit hash of a text (FNV-1a with a final mix). */
export function hash32(text) {
    let h = 0x811c9dc5;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
}

/** A stream of chance that depends on `key` alone. */
export function chance(key) {
    let state = hash32(`${SEED}|${key}`);
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const below = (n) => Math.floor(next() * n);
    return { next, below, pick: (list) => list[below(list.length)], maybe: (p) => next() < p };
}

/** A copy of `list` in chance order; `keyOf` gives each member's own name. */
export function shuffled(list, key, keyOf) {
    const ranked = list.map((member, i) => [hash32(`${SEED}|${key}|${keyOf(member)}`), i, member]);
    ranked.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return ranked.map((r) => r[2]);
}
