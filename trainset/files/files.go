// Package files writes a training set as files that trainers load unchanged: JSON lines
// or Parquet, in shards, with a manifest and a dataset card, into a local folder or an
// S3-compatible bucket.
//
// The same rows in the same order give the same bytes, however they are divided into
// batches and however often the writing was interrupted: nothing in a file depends on a
// clock, on a machine or on the order of goroutines. See DESIGN.md.
package files
