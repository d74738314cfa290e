// Package near finds texts that are nearly the same as others: near duplicates within a
// training set, and passages of evaluations that must not be in one.
package near
