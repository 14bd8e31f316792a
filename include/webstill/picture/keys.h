/** Section `store` of the configuration: how a picture becomes a square, and what the image store is made of. */
#ifndef WEBSTILL_PICTURE_KEYS_H
#define WEBSTILL_PICTURE_KEYS_H

#include "webstill/stage/config.h"

enum ws_fit { WS_FIT_PAD, WS_FIT_CROP, WS_FIT_STRETCH };
enum ws_background { WS_BACKGROUND_WHITE, WS_BACKGROUND_BLACK };
enum ws_invert { WS_INVERT_NEVER, WS_INVERT_BRIGHT };

struct ws_store_keys {
    char **warc; /**< further WARC files or folders to read besides the crawl's own */
    unsigned n_warc;
    uint32_t size;                 /**< side of the stored square, pixels */
    uint32_t channels;             /**< 1 = luma, 3 = RGB */
    enum ws_fit fit;               /**< pad to square, centre crop, or stretch */
    enum ws_background background; /**< what transparency and padding show */
    enum ws_invert invert;         /**< bright: invert when the border's mean is above one half */
    uint32_t min_side;             /**< smaller originals are refused, pixels */
    double max_megapixels;         /**< refused before decoding */
    double max_aspect;             /**< longer side over shorter */
    uint32_t decode_timeout_s;
    double map_gib; /**< largest size of the LMDB map (address space, not disk) */
};

extern const struct ws_conf_section ws_store_section;

static inline const struct ws_store_keys *ws_store_keys(const struct ws_config *config)
{
    return ws_config_keys(config, &ws_store_section);
}

#endif
