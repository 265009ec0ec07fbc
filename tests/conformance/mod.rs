//! Every channel passes the same suite (`smista_testkit::conformance`): a file for each kind, with its rig and a test for
//! each requirement.

mod email;
