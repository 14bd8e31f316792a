/** The keys of section `store`. */
#include "webstill/picture/keys.h"

static const struct ws_conf_word channel_words[] = {
    {"1", 1},
    {"3", 3},
    {NULL, 0},
};
static const struct ws_conf_word fits[] = {
    {"pad", WS_FIT_PAD},
    {"crop", WS_FIT_CROP},
    {"stretch", WS_FIT_STRETCH},
    {NULL, 0},
};
static const struct ws_conf_word backgrounds[] = {
    {"white", WS_BACKGROUND_WHITE},
    {"black", WS_BACKGROUND_BLACK},
    {NULL, 0},
};
static const struct ws_conf_word inverts[] = {
    {"never", WS_INVERT_NEVER},
    {"bright", WS_INVERT_BRIGHT},
    {NULL, 0},
};

static const struct ws_conf_key store_keys[] = {
    {WS_CONF_TEXTS(struct ws_store_keys, warc), .fallback = "[]",
     .help = "Further WARC files, or folders of them, to read besides the crawl's own: Common Crawl's, wget's, another "
             "run's."},
    {WS_CONF_UINT(struct ws_store_keys, size), .unit = "pixels", .min = 8, .max = 1024, .fallback = "32",
     .help = "Side of the stored square."},
    {WS_CONF_WORD(struct ws_store_keys, channels, uint32_t, channel_words), .unit = "channels", .fallback = "3",
     .help = "1 = grey (luma), 3 = RGB."},
    {WS_CONF_WORD(struct ws_store_keys, fit, enum ws_fit, fits), .fallback = "pad",
     .help = "How a picture becomes a square: pad, crop (the centre) or stretch."},
    {WS_CONF_WORD(struct ws_store_keys, background, enum ws_background, backgrounds), .fallback = "white",
     .help = "What transparency and padding show: white or black."},
    {WS_CONF_WORD(struct ws_store_keys, invert, enum ws_invert, inverts), .fallback = "never",
     .help = "never, or bright: invert when the mean of the border is above one half."},
    {WS_CONF_UINT(struct ws_store_keys, min_side), .unit = "pixels", .min = 1, .max = 100000, .fallback = "16",
     .help = "Smaller originals are refused (shorter side)."},
    {WS_CONF_NUMBER(struct ws_store_keys, max_megapixels), .unit = "megapixels", .min = 0, .max = 1000,
     .excluded = WS_CONF_ABOVE, .fallback = "40", .help = "Larger originals are refused before they are decoded."},
    {WS_CONF_NUMBER(struct ws_store_keys, max_aspect), .unit = "ratio", .min = 1, .max = 1000, .fallback = "4",
     .help = "Longer side over shorter side; narrower originals are refused."},
    {WS_CONF_UINT(struct ws_store_keys, decode_timeout_s), .unit = "s", .min = 1, .max = 600, .fallback = "10",
     .help = "A decoder that takes longer is stopped and the image refused."},
    {WS_CONF_NUMBER(struct ws_store_keys, map_gib), .unit = "GiB", .min = 0, .max = 65536, .excluded = WS_CONF_ABOVE,
     .fallback = "64", .help = "Largest size of the store's LMDB map: address space, not disk."},
    {.name = NULL},
};

const struct ws_conf_section ws_store_section = {
    .name = "store",
    .title = "WARC -> store/ (pixels and provenance)",
    WS_CONF_KEYS(struct ws_store_keys, store_keys),
};
