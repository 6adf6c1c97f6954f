/* Inner loops run along rows and add one scaled row to another, so that compilers vectorise them without reordering any
 * sum. */
#include "core/analysis/svd.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_scaled(double *restrict into, const double *restrict row, double factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        into[i] += factor * row[i];
}

/* Householder's vector of column j, below and including the diagonal, goes to v (v[j] = 1 by scale); returns tau. */
static double reflector(const double *a, size_t rows, size_t columns, size_t j, double *v, double *ret_diagonal)
{
    double norm = 0, alpha = a[j * columns + j], beta;

    for (size_t i = j + 1; i < rows; i++)
        norm += a[i * columns + j] * a[i * columns + j];
    v[j] = 1;
    *ret_diagonal = alpha;
    if (norm == 0) {
        for (size_t i = j + 1; i < rows; i++)
            v[i] = 0;
        return 0;
    }
    beta = -copysign(sqrt(alpha * alpha + norm), alpha);
    for (size_t i = j + 1; i < rows; i++)
        v[i] = a[i * columns + j] / (alpha - beta);
    *ret_diagonal = beta;
    return (beta - alpha) / beta;
}

/* a[j.., from..] −= tau · v · (vᵀ a). */
static void reflect(double *a, size_t rows, size_t columns, size_t j, size_t from, const double *v, double tau,
                    double *w)
{
    size_t n = columns - from;

    memset(w, 0, n * sizeof(*w));
    for (size_t i = j; i < rows; i++)
        add_scaled(w, a + i * columns + from, v[i], n);
    for (size_t i = j; i < rows; i++)
        add_scaled(a + i * columns + from, w, -tau * v[i], n);
}

void svd_orthonormalise(double *a, size_t rows, size_t columns, double *r, double *scratch)
{
    double *tau = scratch, *w = scratch + columns, *v = scratch + 2 * columns;

    for (size_t j = 0; j < columns; j++) {
        double diagonal;

        tau[j] = reflector(a, rows, columns, j, v, &diagonal);
        if (j + 1 < columns)
            reflect(a, rows, columns, j, j + 1, v, tau[j], w);
        a[j * columns + j] = diagonal;
        for (size_t i = j + 1; i < rows; i++)
            a[i * columns + j] = v[i];
    }
    for (size_t i = 0; r && i < columns; i++)
        for (size_t j = 0; j < columns; j++)
            r[i * columns + j] = j >= i ? a[i * columns + j] : 0;
    /* Q = H0 H1 … applied to the first columns of the identity, from the last reflector back. */
    for (size_t j = columns; j-- > 0;) {
        for (size_t i = j; i < rows; i++) {
            v[i] = i == j ? 1 : a[i * columns + j];
            a[i * columns + j] = i == j;
        }
        for (size_t k = j + 1; k < columns; k++)
            a[j * columns + k] = 0;
        reflect(a, rows, columns, j, j, v, tau[j], w);
    }
}

static int compare_descending(const void *left, const void *right)
{
    const double *a = left, *b = right;

    return *a > *b ? -1 : *a < *b;
}

static double dot(const double *a, const double *b, size_t n)
{
    double lanes[4] = {0}, total;
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (size_t lane = 0; lane < 4; lane++)
            lanes[lane] += a[i + lane] * b[i + lane];
    total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

/* Turns rows p and q until they are orthogonal; returns whether there was anything to turn. */
static int rotate(double *p, double *q, size_t n)
{
    double pp = dot(p, p, n), qq = dot(q, q, n), pq = dot(p, q, n), zeta, t, c, s;

    if (fabs(pq) <= 0x1p-48 * sqrt(pp) * sqrt(qq))
        return 0;
    zeta = (qq - pp) / (2 * pq);
    t = copysign(1 / (fabs(zeta) + sqrt(1 + zeta * zeta)), zeta);
    c = 1 / sqrt(1 + t * t);
    s = c * t;
    for (size_t i = 0; i < n; i++) {
        double x = p[i], y = q[i];

        p[i] = c * x - s * y;
        q[i] = s * x + c * y;
    }
    return 1;
}

void svd_jacobi(double *a, size_t n, double *ret_values)
{
    enum { SWEEPS_MAX = 60 };

    for (int sweep = 0, turned = 1; turned && sweep < SWEEPS_MAX; sweep++) {
        turned = 0;
        for (size_t p = 0; p + 1 < n; p++)
            for (size_t q = p + 1; q < n; q++)
                turned |= rotate(a + p * n, a + q * n, n);
    }
    for (size_t i = 0; i < n; i++)
        ret_values[i] = sqrt(dot(a + i * n, a + i * n, n));
    qsort(ret_values, n, sizeof(*ret_values), compare_descending);
}

/* d: the diagonal; e[i]: beside d[i] and d[i + 1]. */
static void tridiagonalise(double *a, size_t n, double *d, double *e)
{
    for (size_t i = n; i-- > 1;) {
        double *u = a + i * n, *p = e; /* e[0 .. i) is free until e[i − 1] is set */
        double scale = 0, h = 0, f, g, k = 0;

        d[i] = u[i];
        for (size_t j = 0; j < i; j++)
            scale += fabs(u[j]);
        if (i == 1 || scale == 0) {
            e[i - 1] = u[i - 1];
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            u[j] /= scale;
            h += u[j] * u[j];
        }
        f = u[i - 1];
        g = -copysign(sqrt(h), f);
        h -= f * g;
        u[i - 1] = f - g;
        memset(p, 0, i * sizeof(*p));
        for (size_t j = 0; j < i; j++)
            add_scaled(p, a + j * n, u[j], i);
        for (size_t j = 0; j < i; j++) {
            p[j] /= h;
            k += u[j] * p[j];
        }
        k /= 2 * h;
        for (size_t j = 0; j < i; j++)
            p[j] -= k * u[j];
        for (size_t j = 0; j < i; j++) {
            double *row = a + j * n, uj = u[j], pj = p[j];

            for (size_t m = 0; m < i; m++)
                row[m] -= uj * p[m] + pj * u[m];
        }
        e[i - 1] = scale * g;
    }
    d[0] = a[0];
    e[n - 1] = 0;
}

/* The first m ≥ from whose neighbour e[m] is nothing beside the diagonal. */
static size_t split_at(const double *d, const double *e, size_t n, size_t from)
{
    size_t m = from;

    while (m + 1 < n && fabs(e[m]) > DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])))
        m++;
    return m;
}

/* One implicit QL step with Wilkinson's shift on d[l .. m]. */
static void ql_step(double *d, double *e, size_t l, size_t m)
{
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = sqrt(g * g + 1), s = 1, c = 1, p = 0;

    g = d[m] - d[l] + e[l] / (g + copysign(r, g));
    for (size_t i = m; i-- > l;) {
        double f = s * e[i], b = c * e[i];

        r = sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
            d[i + 1] -= p;
            e[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

void svd_symmetric(double *a, size_t n, double *ret_values, double *scratch)
{
    enum { STEPS_MAX = 60 };
    double *e = scratch;

    if (n == 0)
        return;
    tridiagonalise(a, n, ret_values, e);
    for (size_t l = 0; l < n; l++)
        for (int step = 0; step < STEPS_MAX; step++) {
            size_t m = split_at(ret_values, e, n, l);

            if (m == l)
                break;
            ql_step(ret_values, e, l, m);
        }
    qsort(ret_values, n, sizeof(*ret_values), compare_descending);
}
