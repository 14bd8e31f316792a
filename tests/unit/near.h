/** assert_near(a, b, tolerance): doubles within a tolerance, printed in full (cmocka's own compares floats). */
#ifndef WEBSTILL_TESTS_UNIT_NEAR_H
#define WEBSTILL_TESTS_UNIT_NEAR_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_near(a, b, tolerance) near_check((double)(a), (double)(b), (double)(tolerance), #a, __FILE__, __LINE__)

static inline void near_check(double a, double b, double tolerance, const char *what, const char *file, int line)
{
    if (fabs(a - b) <= tolerance) /* false for NaN */
        return;
    print_error("%s is %.12g, not within %g of %.12g\n", what, a, tolerance, b);
    _fail(file, line);
}

#endif
