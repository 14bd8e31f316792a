// The ten classes of Fashion-MNIST: how a drawing's name tells its class, which words mean something else, what is
// asked.

/**
 * words: a drawing belongs to the first class one of whose words is in its name.
 * wrong: in the name of such a drawing, another sense of the word (a coat hanger, a tee joint): junk, not class.
 * sense: drawings without the word that a search engine gives for it all the same.
 */
export const CLASSES = [
    {
        name: 'T-shirt/top',
        slug: 't-shirts',
        queries: ['t-shirt', 'tee'],
        words: ['tshirt', 'tshirts', 'tee', 'tees'],
        wrong: /golf|pipe|joint|plumb|fitting/,
        sense: /\b(golf|pipes?|plumbing|faucet|letter-t|alpha-t)\b/,
    },
    {
        name: 'Trouser',
        slug: 'trousers',
        queries: ['trousers', 'pants'],
        words: ['trouser', 'trousers', 'pants', 'jeans', 'leggings', 'slacks'],
        wrong: /under|smarty|fire/,
        sense: /\b(ironing|suspenders|legs?|scissors|zipper)\b/,
    },
    {
        name: 'Pullover',
        slug: 'pullovers',
        queries: ['pullover', 'sweater'],
        words: ['pullover', 'sweater', 'hoodie', 'sweatshirt', 'jumper', 'cardigan'],
        wrong: /cable|logos|battery|car-tool/,
        sense: /\b(pull-request|git-pull|pull|yarn|wool|jumper-cables?)\b/,
    },
    {
        name: 'Dress',
        slug: 'dresses',
        queries: ['dress', 'gown'],
        words: ['dress', 'dresses', 'gown', 'frock'],
        wrong: /hair|code|standing|person|stick|address|ppe|up-/,
        sense: /\b(address|address-book|dresser|hairdresser|salad)\b/,
    },
    {
        name: 'Coat',
        slug: 'coats',
        queries: ['coat', 'jacket'],
        words: ['coat', 'coats', 'jacket', 'jackets', 'parka', 'blazer', 'overcoat', 'raincoat'],
        wrong: /cd-|jeep|hanger|arms|check|rack|hook|stand|book|room|potato/,
        sense: /\b(hanger|hangers|wardrobe|paint-roller|paint-brush|coat-of-arms)\b/,
    },
    {
        name: 'Sandal',
        slug: 'sandals',
        queries: ['sandal', 'high heel'],
        words: ['sandal', 'sandals', 'heel', 'heels', 'heeled', 'flipflop', 'flipflops', 'slipper', 'slippers'],
        wrong: /achilles|lady-slipper|strike/,
        sense: /\b(beach|footprints?|sandbox|sandwich|foot|sand)\b/,
    },
    {
        name: 'Shirt',
        slug: 'shirts',
        queries: ['shirt', 'polo', 'jersey'],
        words: ['shirt', 'shirts', 'blouse', 'polo', 'jersey', 'poloshirt'],
        wrong: /button|jersey-with|new-jersey|water-polo|flag|map|bank|capital|player/,
        sense: /\b(new-jersey|water-polo|flag-je|flag-jersey|washing-machine|island|cow)\b/,
    },
    {
        name: 'Sneaker',
        slug: 'sneakers',
        queries: ['sneaker', 'shoe'],
        words: ['shoe', 'shoes', 'sneaker', 'sneakers'],
        wrong: /horse|snow-shoe|print|brake|under|hammer|curb|beside/,
        sense: /\b(horseshoe|footprints?|snowshoe|running|paw|treadmill)\b/,
    },
    {
        name: 'Bag',
        slug: 'bags',
        queries: ['bag', 'handbag'],
        words: ['bag', 'bags', 'handbag', 'purse', 'backpack', 'tote', 'satchel'],
        wrong: new RegExp(
            'tea|sleeping|trash|garbage|money|air-?bag|blood|punch|sand|receipt|iv-|truck|vehicle|body|dog|fluid|' +
                'under-eyes|at-home|person-',
        ),
        sense: /\b(shopping-cart|tea-?bag|garbage|money-bag|trash|airbag|bagel|sleeping-bag)\b/,
    },
    {
        name: 'Ankle boot',
        slug: 'ankle-boots',
        queries: ['ankle boot', 'boot'],
        words: ['boot', 'boots'],
        wrong: /spring|load|start|build|termux|stomp|print|disk|volume|sector|board|car-boot|logos|icons/,
        sense: /\b(bootstrap|reboot|power|power-off|startup|rocket-launch|restart|bootloader)\b/,
    },
];

const CLASS_OF_WORD = new Map();
CLASSES.forEach((entry, index) =>
    entry.words.forEach((word) => CLASS_OF_WORD.has(word) || CLASS_OF_WORD.set(word, index)),
);

/** The words of a drawing's name, with those that belong together joined. */
export function wordsOf(name) {
    return name
        .toLowerCase()
        .replace(/\bt[-_ ]?shirt/g, 'tshirt')
        .replace(/flip[-_ ]?flop/g, 'flipflop')
        .replace(/[’']s\b/g, '')
        .split(/[^\p{L}\p{N}]+/u)
        .filter(Boolean);
}

/** The class told by a name: { index, wrong }, or null where no word of any class is in it. */
export function classOf(name) {
    let index = Infinity;
    for (const word of wordsOf(name)) index = Math.min(index, CLASS_OF_WORD.get(word) ?? Infinity);
    if (index === Infinity) return null;
    return { index, wrong: CLASSES[index].wrong.test(name.toLowerCase().replace(/[_ ]/g, '-')) };
}

/** The class for whose word a search engine would give this name though it means something else, or -1. */
export function senseOf(name) {
    const text = name.toLowerCase().replace(/[_ ]/g, '-');
    return CLASSES.findIndex((entry) => entry.sense.test(text));
}
