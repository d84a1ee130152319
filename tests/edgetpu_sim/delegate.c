/* The delegate that load_delegate() finds: two symbols, as in libedgetpu. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

struct delegate {
    TfLiteDelegate base; /* first: the runtime hands it back */
    struct session *session;
    bool claims_all;
    uint64_t model; /* the graph that is being prepared */
};

struct kernel {
    struct session *session;
    uint64_t model;
};

static void *kernel_init(TfLiteContext *context, const char *buffer, size_t length) {
    (void)context, (void)length;
    const struct delegate *delegate = (const void *)((const TfLiteDelegateParams *)(const void *)buffer)->delegate;
    struct kernel *kernel = malloc(sizeof *kernel);
    if (kernel) *kernel = (struct kernel){delegate->session, delegate->model};
    return kernel;
}

static void kernel_free(TfLiteContext *context, void *kernel) {
    (void)context;
    free(kernel);
}

static TfLiteStatus kernel_prepare(TfLiteContext *context, TfLiteNode *node) {
    const struct kernel *kernel = node->user_data;
    struct stick *stick = kernel->session->stick;
    stick->prepares++;
    if (fault_strikes(stick, FAULT_prepare_segv)) fault_crash();
    if (!fault_strikes(stick, FAULT_prepare_fail)) return kTfLiteOk;
    context->ReportError(context, "Failed to prepare for TPU. %s", "simulated: the model was refused");
    return kTfLiteError;
}

static TfLiteStatus kernel_invoke(TfLiteContext *context, TfLiteNode *node) {
    const struct kernel *kernel = node->user_data;
    return session_run(kernel->session, kernel->model, context, node);
}

static TfLiteStatus replace(TfLiteContext *context, struct delegate *delegate, const TfLiteIntArray *nodes) {
    TfLiteRegistration kernel = {.init = kernel_init,
                                 .free = kernel_free,
                                 .prepare = kernel_prepare,
                                 .invoke = kernel_invoke,
                                 .custom_name = "EdgeTpuDelegateForCustomOp",
                                 .version = 1};
    return context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, nodes, &delegate->base);
}

/* Each compiled operator becomes a kernel of its own, as in libedgetpu; of an ordinary model, all become one. */
static TfLiteStatus delegate_prepare(TfLiteContext *context, TfLiteDelegate *base) {
    static uint32_t models;
    struct delegate *delegate = (struct delegate *)base;
    TfLiteIntArray *plan;
    if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
    delegate->model = (uint64_t)getpid() << 32 | ++models;
    struct { int size, data[1]; } single = {.size = 1};
    TfLiteIntArray *nodes = malloc(sizeof *nodes + sizeof(int) * (size_t)plan->size);
    if (!nodes) return kTfLiteError;
    nodes->size = 0; /* a copy first: replacing changes the plan */
    for (int i = 0; i < plan->size; i++) {
        TfLiteNode *node;
        TfLiteRegistration *registration;
        if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk) continue;
        bool compiled = registration->custom_name && strcmp(registration->custom_name, "edgetpu-custom-op") == 0;
        if (compiled || delegate->claims_all) nodes->data[nodes->size++] = plan->data[i];
    }
    TfLiteStatus status = kTfLiteOk;
    delegate->session->stick->claimed_nodes = (uint64_t)nodes->size;
    if (delegate->claims_all)
        status = replace(context, delegate, nodes);
    else
        for (int i = 0; i < nodes->size && status == kTfLiteOk; i++) {
            single.data[0] = nodes->data[i];
            status = replace(context, delegate, (const TfLiteIntArray *)(const void *)&single);
        }
    free(nodes);
    return status;
}

TfLiteDelegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
    struct mapping *mapping = control_map(report);
    struct session *session = mapping ? session_open(mapping, keys, values, count) : NULL;
    struct delegate *delegate = session ? calloc(1, sizeof *delegate) : NULL;
    if (!delegate) return NULL;
    delegate->session = session;
    delegate->claims_all = session->stick->claim == CLAIM_ALL;
    delegate->base.Prepare = delegate_prepare;
    delegate->base.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
    if (delegate->claims_all) /* shapes that only the replaced operators' own prepare knows, as of an SSD's outputs */
        delegate->base.flags |= kTfLiteDelegateFlagsRequirePropagatedShapes;
    return &delegate->base;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *base) {
    struct delegate *delegate = (struct delegate *)base;
    if (!delegate) return;
    session_close(delegate->session);
    free(delegate);
}
