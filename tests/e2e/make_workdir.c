/* A made-up working directory for what is tested from outside: make_workdir FOLDER N_IMAGES N_EPOCHS */
#include "../unit/workdir.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct workdir work;
    if (argc != 4) {
        fprintf(stderr, "usage: %s FOLDER N_IMAGES N_EPOCHS\n", argv[0]);
        return 2;
    }
    workdir_make(&work, argv[1], (size_t)strtoul(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10));
    workdir_free(&work);
    return 0;
}
