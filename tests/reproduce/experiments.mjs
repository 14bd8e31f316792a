// The table of the proof: which rows there are, and what each changes in configs/web-fashion-proof.yaml. Data alone.
//
// Experiment: { name, web, x?, base?, about, rows }
//   about   what the report says of it and how it shows it (the fields stand in store/report/results.h)
//   web     which of WEBS the pool, the teacher and the configuration come from
//   base    the row that the others are compared with; kd when left out
//   x       what the row's x means; rows without x have null
// Row: { row, method, what, options?, pool?, x?, same? }
//   method  of distill; a row of a method that the program does not know is skipped with a line that says so
//   options keys that differ from the configuration, as -o takes them
//   pool    which images of the web may be used (pools.mjs); all when left out
//   same    "experiment/row": the very run of another row, read for another figure; it is not run twice

/**
 * The webs: config (null: the main configuration), tree: what tests/web/ builds, build: how, work: its place below the
 * working directory, teacherOf: the web whose teacher is taken instead of one of its own; shifted: whether the test set
 * is measured under shift, too.
 */
export const WEBS = {
    proof: {
        config: null,
        tree: 'build/web-proof',
        build: [['tests/web/fetch-data.sh'], ['node', 'tests/web/build-web.mjs', '--size', 'proof']],
        work: '.',
        shifted: true,
    },
    large: {
        config: null,
        tree: 'build/web-large',
        build: [['tests/web/fetch-data.sh'], ['node', 'tests/web/build-web.mjs', '--size', 'large']],
        work: 'large',
        teacherOf: 'proof',
        shifted: true,
    },
    symbols: {
        config: 'configs/web-symbols.yaml',
        tree: 'build/web-symbols',
        build: [
            ['tests/web/fetch-data.sh', '--symbols'],
            ['node', 'tests/web/symbols/build.mjs'],
            [
                'node',
                'tests/web/symbols/adapt-teacher.mjs',
                'build/data/packages/detypify/train/model.onnx',
                'build/data/detypify-32.onnx',
                '32',
            ],
        ],
        work: 'symbols',
        shifted: false,
    },
};

/** The proof's web in small, for the test of this driver (WEB_SIZE=small). */
export const SMALL_WEB = {
    ...WEBS.proof,
    tree: 'build/web-small',
    build: [
        ['tests/web/fetch-data.sh', '--small'],
        ['node', 'tests/web/build-web.mjs', '--small'],
    ],
};

const kd3 = (part) => ({ method: 'kd3', options: part });
const plus = (...keys) => ({ method: 'kd3+', options: keys.map((key) => `distill.kd3_plus.${key}`) });

/** Strengths of the shifted test set (eval.shift); the middle one is the main table's column. */
export const SHIFTS = [0.25, 0.5, 1];
export const MAIN_SHIFT = 0.5;

const JUNK_SHARES = [0, 0.25, 0.5, 0.75, 0.9];
const JUNK_POOL = 3500;
const POOL_SIZES = [500, 1500, 5000, 15000, 50000];

/** Those that have a colour of their own on the page, and those that the others are compared with there. */
const LEADS = ['kd3', 'kd', 'kd3+'];
const AGAINST = ['kd', 'kd3', 'kd-clean'];

/** Tang et al., ICCV 2023, ablation on CIFAR-10, ResNet-34 to ResNet-18: points of accuracy. */
const REPORTED = {
    title: 'In the paper',
    text: 'what the paper reports on CIFAR-10',
    gains: { kd3: { sharing: 1.79, selection: 4.99, contrast: 0.73 } },
};

const main = {
    name: 'main',
    web: 'proof',
    about: {
        title: 'All methods on the same pool',
        text:
            'Each row is trained on the same pool for the same number of steps, unless its name says otherwise. ' +
            'Differences are taken seed by seed.',
        reported: REPORTED,
    },
    rows: [
        { row: 'ce', method: 'ce', what: 'hard web labels' },
        { row: 'noise', method: 'noise', what: 'KD on uniform noise' },
        { row: 'kd-clipart', method: 'kd', what: 'KD on random clip art alone', pool: { kind: 'clipart' } },
        { row: 'kd', method: 'kd', what: 'KD on the web' },
        { row: 'simkd', method: 'simkd', what: 'SimKD' },
        { row: 'fitnet', method: 'fitnet', what: 'FitNet' },
        { row: 'dfnd', method: 'dfnd', what: 'DFND: selection by the teacher' },
        { row: 'kd3', method: 'kd3', what: 'KD3 as released' },
        { row: 'kd3-no-selection', what: 'KD3 without selection', ...kd3(['distill.kd3.select=false']) },
        { row: 'kd3-no-sharing', what: 'KD3 without classifier sharing', ...kd3(['distill.kd3.share=false']) },
        { row: 'kd3-no-contrast', what: 'KD3 without contrast', ...kd3(['distill.kd3.contrast=off']) },
        { row: 'kd3-no-weights', what: 'KD3 without weights', ...kd3(['distill.kd3.weights=false']) },
        {
            row: 'kd3-weightless-contrast',
            what: "KD3 that runs on X', and learns nothing from the contrast",
            ...kd3(['distill.kd3.contrast_weight=0']),
        },
        { row: 'kd3+', what: 'KD3+: on refined images, without selection and contrast', ...plus() },
        { row: 'kd3+-no-refine', what: 'KD3+ without refined images', ...plus('refine_steps=0') },
        { row: 'kd3+-with-kl', what: 'KD3+ with KL', ...plus('kl_weight=1') },
        { row: 'kd3+-with-selection', what: 'KD3+ with selection', ...plus('select=true') },
        { row: 'kd3+-with-contrast', what: 'KD3+ with contrast', ...plus('contrast=self') },
        { row: 'kd-clean', method: 'kd', what: "KD on the teacher's clean data", options: ['distill.data=teacher'] },
        {
            row: 'kd3+-clean',
            what: 'KD3+ on the clean data, none refined',
            method: 'kd3+',
            options: ['distill.data=teacher', 'distill.kd3_plus.refine_steps=0'],
        },
        { row: 'ce-clean', method: 'ce', what: 'labels on the clean data', options: ['distill.data=teacher'] },
    ],
};

const methodsAt = (x, pool) => ['kd', 'kd3', 'kd3+'].map((method) => ({ row: method, method, x, pool }));
const junk = (share) => ({ kind: 'junk', share, n: JUNK_POOL });

/** A rule beyond KD3 on top of its own; without contrast, which costs half of the time and decides nothing here. */
const curated = (row, what, ...keys) => ({
    row,
    what,
    ...kd3(['distill.kd3.contrast=off', ...keys.map((key) => `curate.${key}`)]),
});
const same = (row) => {
    const { what, method } = main.rows.find((r) => r.row === row);
    return { row, what, method, same: `main/${row}` };
};

export const EXPERIMENTS = [
    main,
    {
        name: 'junk',
        web: 'large',
        x: 'share of junk',
        about: {
            title: 'As the share of junk grows',
            text:
                'Pictures that show none of the classes are mixed into the pool. Their origin is known here, and used for ' +
                'these figures alone: precision is the share of kept pictures that are no junk, recall the share of good ' +
                'pictures that are kept.',
            x: 'junk in the pool, %',
            x_is: 'share',
        },
        rows: [
            ...JUNK_SHARES.flatMap((share) => methodsAt(share, junk(share))),
            { row: 'kd3-no-selection', ...kd3(['distill.kd3.select=false']), x: 0.9, pool: junk(0.9) },
        ],
    },
    {
        name: 'pool',
        web: 'large',
        x: 'images in the pool',
        about: {
            title: 'As the pool grows',
            text: 'The same training on more and more pictures of the web.',
            x: 'images in the pool',
            x_is: 'log',
        },
        rows: POOL_SIZES.flatMap((n) => methodsAt(n, { kind: 'size', n })),
    },
    {
        name: 'shift',
        web: 'proof',
        x: 'strength of the shift',
        about: {
            title: 'On a shifted test',
            text:
                'The clean test images with their channel statistics redrawn at random, the further the stronger. The ' +
                'students are those of the table above.',
            judged: 'shifted_accuracy',
            x: 'strength of the shift',
        },
        rows: ['kd', 'kd3', 'kd3-no-contrast', 'kd3+', 'kd3+-with-contrast', 'kd-clean'].flatMap((row) =>
            [0, ...SHIFTS].map((x) => ({ ...same(row), x })),
        ),
    },
    {
        name: 'curation',
        web: 'proof',
        base: 'kd3-no-contrast',
        about: {
            title: 'Rules of curation beyond KD3',
            text: "Each row adds one rule to what KD3's own rule keeps, without contrast; kd has neither.",
        },
        rows: [
            same('kd'),
            same('kd3-no-contrast'),
            curated('density-weight', 'near duplicates share a weight', 'density=weight'),
            curated('density-drop', 'the surest of near duplicates', 'density=drop'),
            curated('source-query', 'weights by what the teacher makes of a query', 'source_precision=query'),
            curated('source-drop', 'no query it makes nothing of', 'source_precision=query', 'source_drop_below=0.15'),
            curated('quota', 'three tenths of a class from one host at most', 'quota=0.3'),
        ],
    },
    {
        name: 'symbols',
        web: 'symbols',
        about: {
            title: 'Symbols of the web',
            text: 'The same still with a teacher of others: drawn symbols.',
            reported: REPORTED,
        },
        rows: [
            { row: 'ce', method: 'ce', what: 'hard web labels' },
            { row: 'kd', method: 'kd', what: 'KD on the web' },
            { row: 'kd3', method: 'kd3', what: "KD3 without contrast, as the web's configuration has it" },
            { row: 'kd3-no-selection', what: 'the same without selection', ...kd3(['distill.kd3.select=false']) },
            { row: 'kd3+', what: 'the same, and KL: KD3+ without refined images', ...plus() },
        ],
    },
];

/** The parts: the rows with and without one; `paper`: what its ablation gains on CIFAR-10, percentage points. */
export const PARTS = [
    { part: 'classifier sharing', with: 'kd3', without: 'kd3-no-sharing', paper: 1.79 },
    { part: 'selection', with: 'kd3', without: 'kd3-no-selection', paper: 4.99 },
    { part: 'contrast', with: 'kd3', without: 'kd3-no-contrast', paper: 0.73 },
    { part: 'weights', with: 'kd3', without: 'kd3-no-weights', paper: null },
    { part: 'refined images', with: 'kd3+', without: 'kd3+-no-refine', paper: null },
    { part: 'selection', with: 'kd3+-with-selection', without: 'kd3+', paper: null },
    { part: 'contrast', with: 'kd3+-with-contrast', without: 'kd3+', paper: null },
    { part: 'KL', with: 'kd3+-with-kl', without: 'kd3+', paper: null },
];

/** The lines of results.jsonl that say so. */
export const ABOUT = EXPERIMENTS.map(({ name, about }) => ({ about: name, ...about, leads: LEADS, against: AGAINST }));

/** A run of kd3 may cost so much more than the plain training steps in it. */
export const MAX_COST = 1.15;
