/* Whether one model is another with an adapter merged: how much of the adapter's change is in it, tensor by tensor. */
#ifndef CORE_ADAPTER_MERGE_H
#define CORE_ADAPTER_MERGE_H

#include <stdatomic.h>

#include "core/model/align.h"
#include "core/writer.h"

enum merge_verdict {
    MERGE_UNDETERMINED, /* noise hides it, or the adapter changes nothing */
    MERGE_MERGED,
    MERGE_WRONG_SCALE,
    MERGE_NOT_MERGED,
    MERGE_PARTLY, /* of a model: some tensors are merged, others are not */
    MERGE_VERDICTS
};

/* With Δ the adapter's change of a tensor and d what the other model differs in from the base:
 * scale = ⟨d, Δ⟩ ÷ ⟨Δ, Δ⟩, 1 of a merge and 0 of none; unexplained = ‖d − scale·Δ‖ ÷ ‖Δ‖. */
struct merge_tensor {
    uint32_t pair;
    enum merge_verdict verdict;
    uint64_t finite;
    double squares, product, moved; /* ⟨Δ,Δ⟩, ⟨d,Δ⟩, ⟨d,d⟩ */
};

struct merge_report {
    size_t adapted, other; /* models */
    enum merge_verdict verdict;
    double scale, unexplained; /* over all its tensors; NAN: none */
    struct merge_tensor *tensors;
    size_t count, counts[MERGE_VERDICTS];
};

/* Reads the pairs of which one side is adapted once more. *ret_report is NULL where there are none. */
int merge_measure(const struct model *const *models, const struct pairing *pairing, const atomic_bool *cancel,
                  struct merge_report **ret_report, struct error *err);
void merge_report_free(struct merge_report *report);

/* The member adapter. */
void merge_write(const struct merge_report *report, const struct model *const *models, const struct pairing *pairing,
                 struct writer *w);

/* " Adapter: …" for a headline. */
void merge_sentence(const struct merge_report *report, char *out, size_t size);

#endif
