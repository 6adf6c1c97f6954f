/* Singular values of small dense matrices, by +, −, ×, ÷ and sqrt alone in a fixed order: the same bits on every
 * machine, which a BLAS does not give. Matrices are row-major. */
#ifndef CORE_ANALYSIS_SVD_H
#define CORE_ANALYSIS_SVD_H

#include <stddef.h>

/* Replaces a (rows × columns, rows ≥ columns) by an orthonormal basis of its columns' span, of exactly columns vectors
 * whatever a's rank: the thin Q of Householder's QR. scratch holds 2 · columns + rows doubles. r, columns × columns and
 * upper triangular, is filled when it is not NULL. */
void svd_orthonormalise(double *a, size_t rows, size_t columns, double *r, double *scratch);

/* Singular values of a (n × n, destroyed), largest first: one-sided Jacobi (Hestenes) on its rows. */
void svd_jacobi(double *a, size_t n, double *ret_values);

/* Eigenvalues of the symmetric a (n × n, both triangles given, destroyed), largest first: Householder's tridiagonal
 * form, then implicit QL. scratch holds 2 · n doubles. Absolute error about n · 2^-53 of the largest. */
void svd_symmetric(double *a, size_t n, double *ret_values, double *scratch);

#endif
