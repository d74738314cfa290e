// Package doctor says in plain words whether a deployment is well: what is wrong, where,
// and what to do, and which measured limit would justify the next component.
//
// [Gather] collects [Facts] from the parts and changes nothing but a temporary file in
// the data folder. [Examine] is pure: it takes facts and returns a [Report]. The limits
// it goes by are constants beside the checks, and are listed in docs/operations.md.
package doctor
