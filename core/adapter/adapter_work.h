/* Inside core/adapter. */
#ifndef CORE_ADAPTER_ADAPTER_WORK_H
#define CORE_ADAPTER_ADAPTER_WORK_H

#include "core/adapter/adapter.h"
#include "core/model/config.h"

struct adapter_config {
    struct config *json;
    bool is_rslora, is_dora, is_fan_in_fan_out;
};

#endif
