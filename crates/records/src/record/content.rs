//! The contents that there are, and which database holds which.

use i247_wire::pb;

use super::key::Key;
use super::value::{Cell, Column, Faults, Layout, enum_atoms};
use super::{
    AdministrativeDocument, Artwork, DnaProfile, DocumentAlert, DocumentSpecimen, Firearm, GenericRecord,
    NoticeDocument, Person, Template, TravelDocument, Vehicle, Vessel,
};
use crate::database::Database;
use crate::date::Date;

enum_atoms! { Database }

/// The contents, each with the databases that hold it.
macro_rules! contents {
    ($($(#[$doc:meta])* $name:ident in $($database:ident)|+;)+) => {
        /// What a record holds.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Content { $($(#[$doc])* $name($name)),+ }

        impl Content {
            /// The columns of its files.
            pub(super) fn columns(database: Database) -> &'static [&'static str] {
                match database { $($(Database::$database)|+ => $name::COLUMNS,)+ }
            }

            /// What they say.
            pub(super) fn described(database: Database) -> Vec<Column> {
                match database { $($(Database::$database)|+ => $name::described(),)+ }
            }

            pub(super) fn from_row(database: Database, cells: &[Cell<'_>]) -> Result<Self, Faults> {
                match database { $($(Database::$database)|+ => $name::from_row(cells).map(Self::$name),)+ }
            }

            pub(super) fn to_row(&self, cells: &mut Vec<Cell<'static>>) {
                match self { $(Self::$name(content) => content.to_row(cells),)+ }
            }

            pub(super) fn from_wire(wire: pb::record::Content) -> Result<Self, Faults> {
                use pb::record::Content as Wire;
                match wire { $(Wire::$name(content) => $name::from_wire(content).map(Self::$name),)+ }
            }

            pub(super) fn to_wire(&self) -> pb::record::Content {
                use pb::record::Content as Wire;
                match self { $(Self::$name(content) => Wire::$name(content.to_wire()),)+ }
            }

            pub(super) fn is_held_by(&self, database: Database) -> bool {
                match self { $(Self::$name(_) => matches!(database, $(Database::$database)|+),)+ }
            }
        }
    };
}

contents! {
    /// A stolen or lost travel document.
    TravelDocument in Sltd;
    /// A document of the subject of a notice.
    NoticeDocument in Tdawn;
    /// A stolen administrative document.
    AdministrativeDocument in Sad;
    /// A person.
    Person in Nominal;
    /// A stolen vehicle.
    Vehicle in Vehicles;
    /// A stolen vessel.
    Vessel in Vessels;
    /// A stolen work of art.
    Artwork in Art;
    /// An illicit firearm.
    Firearm in Iarms;
    /// An alert of a forgery.
    DocumentAlert in DialDoc;
    /// A specimen of a genuine document.
    DocumentSpecimen in Edison;
    /// A DNA profile.
    DnaProfile in Dna | DnaMissing;
    /// A template of a fingerprint or face.
    Template in Fingerprints | Faces;
    /// Anything else.
    GenericRecord in Icse | Ifrt | Ibin | Cards | Piracy;
}

impl Content {
    /// The rules between its fields.
    pub(super) fn check(&self, database: Database, faults: &mut Faults) {
        match self {
            Self::TravelDocument(content) => content.check(faults),
            Self::Person(content) => content.check(faults),
            Self::Vehicle(content) => content.check(faults),
            Self::Vessel(content) => content.check(faults),
            Self::DnaProfile(content) => content.check(database, faults),
            Self::Template(content) => content.check(database, faults),
            Self::GenericRecord(content) => content.check(faults),
            Self::NoticeDocument(_)
            | Self::AdministrativeDocument(_)
            | Self::Artwork(_)
            | Self::Firearm(_)
            | Self::DocumentAlert(_)
            | Self::DocumentSpecimen(_) => {}
        }
    }

    pub(super) fn keys(&self, database: Database, keys: &mut Vec<Key>) {
        match self {
            Self::TravelDocument(content) => content.keys(keys),
            Self::NoticeDocument(content) => content.keys(keys),
            Self::AdministrativeDocument(content) => content.keys(keys),
            Self::Person(content) => content.keys(keys),
            Self::Vehicle(content) => content.keys(keys),
            Self::Vessel(content) => content.keys(keys),
            Self::Artwork(content) => content.keys(keys),
            Self::Firearm(content) => content.keys(keys),
            Self::DocumentAlert(content) => content.keys(keys),
            Self::DocumentSpecimen(content) => content.keys(keys),
            Self::GenericRecord(content) => content.keys(database, keys),
            // Found by score alone.
            Self::DnaProfile(_) | Self::Template(_) => {}
        }
    }

    /// Whether its fields, each within its own limit, may be too much together.
    pub(super) fn may_be_long(&self) -> bool {
        matches!(self, Self::Person(_) | Self::DocumentSpecimen(_) | Self::GenericRecord(_))
    }

    /// Whether the person behind it is known, which decides how long a trace may stay.
    pub(super) fn is_person_known(&self) -> bool {
        match self {
            Self::DnaProfile(content) => content.subject_kind.is_known(),
            Self::Template(content) => content.subject_kind.is_known(),
            _ => true,
        }
    }

    /// The days that it speaks of as past, by field.
    pub(crate) fn past(&self) -> [(&'static str, Option<Date>); 2] {
        let stolen_on = |day| [("stolen_on", day), ("stolen_on", None)];
        match self {
            Self::TravelDocument(content) => content.past(),
            Self::AdministrativeDocument(content) => stolen_on(content.stolen_on),
            Self::Vehicle(content) => stolen_on(content.stolen_on),
            Self::Vessel(content) => stolen_on(content.stolen_on),
            Self::Artwork(content) => stolen_on(content.stolen_on),
            Self::NoticeDocument(_)
            | Self::Person(_)
            | Self::Firearm(_)
            | Self::DocumentAlert(_)
            | Self::DocumentSpecimen(_)
            | Self::DnaProfile(_)
            | Self::Template(_)
            | Self::GenericRecord(_) => stolen_on(None),
        }
    }
}
