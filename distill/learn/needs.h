/** What a method may need of a teacher or of its data, each with how it is told: when a teacher is imported, and when a
 * training would begin without it. */
#ifndef WEBSTILL_DISTILL_LEARN_NEEDS_H
#define WEBSTILL_DISTILL_LEARN_NEEDS_H

#include "session.h"

#include "webstill/base/buf.h"

/** In the order in which an import tells them. */
enum ws_need_kind {
    WS_NEED_NOTHING,      /**< ends a list */
    WS_NEED_TEACHER,      /**< any; listed first, as the others ask it */
    WS_NEED_BATCHNORM,    /**< the teacher's statistics of its data */
    WS_NEED_ACCURACY,     /**< how often the teacher is right */
    WS_NEED_MIDDLE_MAP,   /**< a feature map halfway through the teacher */
    WS_NEED_LINEAR_LAYER, /**< the teacher's logits are one linear layer behind global average pooling */
    WS_NEED_LABELS,       /**< training images with labels */
    WS_N_NEEDS,
};

struct ws_need {
    enum ws_need_kind kind;
    const char *when; /**< " with refined images": behind the method's name; NULL: always */
    bool (*applies)(const struct ws_config *config); /**< NULL: always */
    const char *key; /**< of the configuration: what makes up for it; NULL: nothing does */
};

/** Append why a teacher does not meet the need of the method called `name`; nothing when it does (or when the need is
 * not one of teachers). False when out of memory. */
WS_MUST_USE bool ws_need_tell(const struct ws_need *need, const struct ws_model *teacher, const char *name,
                              struct ws_buf *out);

/** Refuse a session that does not meet the need of the method called `name`. */
WS_MUST_USE enum ws_status ws_need_check(const struct ws_need *need, const struct ws_session *session, const char *name,
                                         struct ws_err *err);

#endif
