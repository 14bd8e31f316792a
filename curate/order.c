#include "order.h"

/* Whether image a comes before image b in that order. */
static int is_believed_more(const float *confidence, uint32_t a, uint32_t b)
{
    const float x = confidence[a] >= 0.0f ? confidence[a] : -1.0f; /* NaN: -1 */
    const float y = confidence[b] >= 0.0f ? confidence[b] : -1.0f;
    return x != y ? x > y : a < b;
}

/* Heap sort: in place, no worst case, and qsort has no argument for the confidences. */
static void sink(uint32_t *heap, size_t n, size_t at, const float *confidence)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_believed_more(confidence, heap[child], heap[child + 1]))
            child++;
        if (!is_believed_more(confidence, heap[at], heap[child]))
            return;
        const uint32_t moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
    }
}

void ws_order_by_confidence(uint32_t *images, size_t n, const float *confidence)
{
    for (size_t i = n / 2; i-- > 0;)
        sink(images, n, i, confidence);
    for (size_t last = n; last-- > 1;) {
        const uint32_t least = images[0];
        images[0] = images[last];
        images[last] = least;
        sink(images, last, 0, confidence);
    }
}
