/* What a kernel reads and writes. */
#include <math.h>
#include <string.h>

#include "sim.h"

static const TfLiteTensor *next_input(const TfLiteContext *context, const TfLiteNode *node, int *position) {
    while (*position < node->inputs->size) {
        int index = node->inputs->data[(*position)++];
        if (index >= 0 && context->tensors[index].allocation_type != kTfLiteMmapRo) return &context->tensors[index];
    }
    return NULL;
}

/* FNV-1a, 64 bits, over the inputs one after the other, without the model's constants. */
uint64_t input_hash(const TfLiteContext *context, const TfLiteNode *node) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const TfLiteTensor *input;
    for (int position = 0; (input = next_input(context, node, &position));)
        for (size_t i = 0; i < input->bytes; i++) hash = (hash ^ ((const uint8_t *)input->data)[i]) * 0x100000001b3;
    return hash;
}

/* Byte i is input byte i mod n, xor the key; a float's value is that byte / 256. */
static void write_from_input(const TfLiteTensor *input, uint8_t key, TfLiteTensor *output) {
    const uint8_t *in = input->data;
    if (output->type == kTfLiteFloat32)
        for (size_t i = 0; i < output->bytes / 4; i++) ((float *)output->data)[i] = (in[i % input->bytes] ^ key) / 256.0f;
    else
        for (size_t i = 0; i < output->bytes; i++) ((uint8_t *)output->data)[i] = in[i % input->bytes] ^ key;
}

static void write_nan(TfLiteTensor *output) {
    memset(output->data, 0xff, output->bytes); /* of a float of any width this is a NaN already, with a sign */
    if (output->type == kTfLiteFloat32)
        for (size_t i = 0; i < output->bytes / 4; i++) ((float *)output->data)[i] = NAN;
}

/* The bytes given for the tensor's name; zeros where there are none, or too few. */
static void write_set(const struct stick *stick, TfLiteTensor *output) {
    memset(output->data, 0, output->bytes);
    for (int i = 0; i < SIM_OUTPUTS; i++) {
        const struct set_output *set = &stick->outputs[i];
        if (set->size == 0 || !output->name || strncmp(set->name, output->name, sizeof set->name) != 0) continue;
        memcpy(output->data, stick->blob + set->offset, set->size < output->bytes ? set->size : output->bytes);
    }
}

TfLiteStatus write_outputs(const struct stick *stick, TfLiteContext *context, const TfLiteNode *node) {
    int position = 0;
    const TfLiteTensor *input = next_input(context, node, &position);
    for (int i = 0; i < node->outputs->size; i++) {
        TfLiteTensor *output = &context->tensors[node->outputs->data[i]];
        if (!output->data || !input || !input->data) {
            context->ReportError(context, "the simulated Edge TPU: tensor %s has no memory", output->name);
            return kTfLiteError;
        }
        switch (stick->output) {
        case OUTPUT_CONSTANT: memset(output->data, (int)stick->value, output->bytes); break;
        case OUTPUT_SET: write_set(stick, output); break;
        case OUTPUT_INPUT: write_from_input(input, (uint8_t)stick->value, output); break;
        default: write_nan(output);
        }
    }
    return kTfLiteOk;
}
