/**
 * A classifier with everything that must travel with it: architecture, weights, class names, input normalisation,
 * origin.
 *
 * On disk: safetensors with torchvision's tensor names and one metadata key, "webstill.card":
 *
 *   {"format":1,"arch":"resnet8","classes":["T-shirt/top",…],"height":28,"width":28,"channels":1,"mean":[…],"std":[…],
 *    "method":"kd3","seed":1,"teacher_sha256":"…","config_sha256":"…","accuracy":0.91,
 *    "head":"kd3","projector_factor":2,"projector_channels":64,"projector_pool":1}
 *
 * `mean` and `std` are per channel, of inputs scaled to 0..1. The last four keys (head.h) stand in students that carry
 * a projector and the teacher's classifier ("projector.0.weight" …, and the latter under the name of the student's own,
 * "fc.weight" and "fc.bias" in ResNets); the student's own classifier does not exist then.
 *
 * "arch" is a name of the zoo, or "onnx": an imported graph. The file then has a second metadata key, "webstill.graph":
 * a valid ONNX model in base64 whose initializers have names and shapes but no data; the tensors of the file have these
 * names.
 */
#ifndef WEBSTILL_DISTILL_MODEL_NETWORK_H
#define WEBSTILL_DISTILL_MODEL_NETWORK_H

#include "head.h"

#include "webstill/base/err.h"
#include "webstill/base/hash.h"
#include "webstill/nn/graph.h"
#include "webstill/nn/zoo.h"
#include "webstill/stage/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { WS_ARCH_MAX = 32 };
#define WS_ARCH_ONNX "onnx" /**< an imported graph */

/** The metadata of a model. */
struct ws_card {
    char arch[WS_ARCH_MAX];
    char **classes; /**< owned */
    int n_classes;
    int height, width, channels;
    float mean[3], std[3];
    char method[WS_ARCH_MAX]; /**< "ce", "kd", "kd3", "import" */
    uint64_t seed;
    char teacher_sha256[WS_DIGEST_HEX]; /**< content digest of the teacher, or "" */
    char config_sha256[WS_DIGEST_HEX];  /**< of what the training depended on, or "" */
    double accuracy;                    /**< on held-out labelled images (a teacher); negative = unknown */
    struct ws_head head;                /**< all-zero: the architecture's own */
    char *graph;                        /**< owned: arch "onnx" alone, an ONNX model without weights in base64 */
};

/** A network with its card. */
struct ws_model {
    struct ws_net *net; /**< owned */
    struct ws_card card;
    int features;            /**< node: the backbone's last map; -1: an imported graph without one; a graph's own
                                  vector behind its pooling (MobileNetV3's and V4's heads) is its last map, of one pixel */
    int pooled;              /**< node: global average of it; -1 likewise */
    int projected;           /**< node: the projector's output, or `features` without one */
    int head_pooled;         /**< node: what the classifier reads; `pooled` without a projector */
    int logits;              /**< node */
    struct ws_digest digest; /**< content digest of the weights: set by load and save */
};

/** Class names and everything else copied. */
WS_MUST_USE bool ws_card_copy(struct ws_card *to, const struct ws_card *from);
void ws_card_fini(struct ws_card *card);
/** Take the class names of the configuration; false when out of memory. */
WS_MUST_USE bool ws_card_set_classes(struct ws_card *card, const struct ws_config *config);
/** WS_E_CONFIG naming the first difference when the card's classes are not the configuration's. */
WS_MUST_USE enum ws_status ws_card_check_classes(const struct ws_card *card, const struct ws_config *config,
                                                 struct ws_err *err);

/**
 * Build the network that a card describes, values zero (students with a projector: its classifier frozen). The card is
 * copied. WS_E_CONFIG for an unknown architecture or shapes that do not fit, WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_model_build(struct ws_model **out, const struct ws_card *card, struct ws_err *err);
void ws_model_free(struct ws_model **model);

/**
 * The linear layer that alone makes logits of `head_pooled` (dropout or a reshape may stand between), or -1 when
 * the head is of another kind, as vgg's three layers from 224 px on.
 */
int ws_model_classifier(const struct ws_model *model);

/** Write atomically and set model->digest. No time is in the file: equal weights and card give equal bytes. */
WS_MUST_USE enum ws_status ws_model_save(struct ws_model *model, const char *path, struct ws_err *err);

/**
 * Load. `fallback` (may be NULL) gives what the file's card lacks; a file without "webstill.card" needs it.
 *
 * Strict: all missing, extra and misshapen tensors are named in one message (WS_E_FORMAT); PyTorch's
 * "num_batches_tracked" counters are ignored. A file that does not exist is WS_E_IO.
 */
WS_MUST_USE enum ws_status ws_model_load(struct ws_model **out, const char *path, const struct ws_card *fallback,
                                         struct ws_err *err);

/**
 * Import an ONNX file as arch "onnx". Class names and normalisation come from its metadata where our own export has put
 * them, else from `fallback`; sizes come from the graph. WS_E_IO, WS_E_FORMAT, WS_E_UNSUPPORTED (every node in our way
 * is listed), WS_E_CONFIG (another number of classes), WS_E_MEMORY.
 */
WS_MUST_USE enum ws_status ws_model_import_onnx(struct ws_model **out, const char *path, const struct ws_card *fallback,
                                                struct ws_err *err);

/** A frozen copy for inference: BN folded, ReLU and Add fused; node ids are the copy's. The card is copied. */
WS_MUST_USE enum ws_status ws_model_fold(struct ws_model **out, const struct ws_model *model, struct ws_err *err);

/** The card as JSON text, malloc'ed, or NULL. */
char *ws_card_text(const struct ws_card *card);

#endif
