/* Runs an entry of a library of the kernels on what comes from standard input, and writes what comes out.

   run_kernel LIBRARY ENTRY: `rows` or `lanes` of a method; run_kernel exp: e to the power of each number. */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void rows_entry(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
typedef void lanes_entry(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);

/* DEPTH x LANES numbers */
static double tile[32 * 64];

static void *take(size_t size) {
    void *place = calloc(size ? size : 1, 1);
    if (place == NULL || fread(place, 1, size, stdin) != size) exit(2);
    return place;
}

static int exponentials(void) {
    double x;
    while (fread(&x, sizeof x, 1, stdin) == 1) {
        double y = exp(x);
        fwrite(&y, sizeof y, 1, stdout);
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count == 2) return exponentials();
    /* rows, columns, first, last, parameters, floats of the state */
    int64_t *head = take(6 * sizeof(int64_t));
    size_t values = 8 * head[0] * head[1], size = 8 * head[5];
    double *rule = take(4 * 8), *p = take(8 * head[4]), *times = take(8 * head[0]), *in = take(values);
    int64_t *starts = take(8 * head[1]), *ends = take(8 * head[1]);
    double *state = calloc(size, 1), *out = calloc(values, 1);
    void *library = dlopen(arguments[1], RTLD_NOW);
    void *entry = library ? dlsym(library, arguments[2]) : NULL;
    if (entry == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    int64_t span = (int64_t)head, to = (int64_t)out, from = (int64_t)in, held = (int64_t)state, by = (int64_t)rule;
    if (strstr(arguments[2], "_lanes"))
        ((lanes_entry *)entry)(from, by, (int64_t)p, held, span, (int64_t)tile, to);
    else
        ((rows_entry *)entry)(from, (int64_t)times, by, (int64_t)p, held, (int64_t)starts, (int64_t)ends, span, to);
    fwrite(out, 1, values, stdout);
    fwrite(state, 1, size, stdout);
    return 0;
}
