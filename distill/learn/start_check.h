/** What to expect of a training before it begins: warnings that are cheap to give and dear to miss. */
#ifndef WEBSTILL_DISTILL_LEARN_START_CHECK_H
#define WEBSTILL_DISTILL_LEARN_START_CHECK_H

#include "data/set.h"
#include "model/network.h"

#include "webstill/stage/config.h"

/** A training's surroundings. Everything is borrowed. */
struct ws_start {
    const struct ws_config *config;
    const struct ws_model *teacher;
    const struct ws_dataset *data;
    bool is_web; /**< the data are the web's, their labels its search words */
    size_t n_train;
    const uint32_t *asked;  /**< [n_asked] images of the data, by no rule that knows them */
    const int32_t *choices; /**< [n_asked] the teacher's predictions */
    size_t n_asked;
};

/**
 * Log a warning for each of: a student that costs as much as its teacher; fewer images than a batch; and, of the web's
 * pool alone, one that is too small, has no search words, has none for some classes, or whose teacher agrees with them
 * no better than by chance or in another order (judged on the images of which the teacher has been asked). Returns how
 * many.
 */
int ws_start_check(const struct ws_start *start);

#endif
