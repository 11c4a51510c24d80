//! Tables of the natives of this subject.
